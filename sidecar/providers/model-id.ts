import type { ModelsConfig } from '../../schemas/config/models.ts';
import { isWildcard } from '../../schemas/config/models.ts';
import { rateCardOf } from '../../schemas/config/rate-card.ts';

/** The id of a model that the rate card has under another name; a name that it does not have, or only by a wildcard, is its own id. */
export function modelId(name: string, card: ModelsConfig): string {
  const id = rateCardOf(card).resolve(name);
  return id === undefined || isWildcard(id) ? name : id;
}
