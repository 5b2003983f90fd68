import { Refusal } from '../routes/refusal.ts';

/** `?limit=`, or as many as there may be. */
export function pageSize(text: string | undefined, most: number): number {
  if (text === undefined) return most;
  const size = Number(text);
  if (/^\d+$/.test(text) && size >= 1 && size <= most) return size;
  throw new Refusal(400, 'invalid_parameter', `limit: must be a whole number from 1 to ${most}`);
}
