import { isWildcard, type ModelsConfig } from '../../schemas/config/models.ts';
import { accountsOfProviders, claimsOf, limitsOf, type ProvidersConfig } from '../../schemas/config/providers.ts';
import type { PolicyProviders } from '../../schemas/policy-input.ts';

/** What policies see of `providers.yaml`: limits as they count, and all that they look for by its name. */
export function providerData({ accounts, models, routing }: ProvidersConfig, card: ModelsConfig): PolicyProviders {
  const claims = claimsOf(accounts);
  return {
    accounts: Object.fromEntries(
      Object.entries(accounts).map(([name, account]) => [
        name,
        { provider: account.provider, per: account.per, limits: limitsOf(account) },
      ]),
    ),
    account_of_model: Object.fromEntries(
      claims.filter(({ claim }) => !isWildcard(claim)).map(({ claim, name }) => [claim, name]),
    ),
    account_of_prefix: claims
      .filter(({ claim }) => isWildcard(claim))
      .map(({ claim, name }) => ({ prefix: claim.slice(0, -1), account: name })),
    account_of_provider: Object.fromEntries(accountsOfProviders(accounts)),
    id_of_alias: Object.fromEntries(
      Object.entries(card.models).flatMap(([id, { aliases }]) =>
        isWildcard(id) ? [] : aliases.filter((name) => !isWildcard(name)).map((name) => [name, id]),
      ),
    ),
    chains: Object.fromEntries(
      Object.entries(models).flatMap(([id, { fallback }]) => (fallback ? [[id, fallback]] : [])),
    ),
    rules: routing.rules,
  };
}
