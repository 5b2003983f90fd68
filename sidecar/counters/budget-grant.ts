import { MAX_AMOUNT } from '../../schemas/amounts.ts';
import { CountersUnavailable } from './contract.ts';

/**
 * So many budget grants are kept at most: every sidecar reads all of them when one changes, and Redis does nothing else
 * meanwhile. 10,000 of them, 4 MB, took it 22 to 36 ms; a look at what has not changed took 0.3 ms, there and back.
 */
export const MAX_BUDGET_GRANTS = 10_000;

/** For so long a budget grant that was taken back is remembered, so that a late repetition does not bring it back. */
export const REVOKED_TTL_MS = 24 * 60 * 60 * 1000;

/** A boost of one user's budgets until it expires. */
export interface BudgetGrant {
  /** A UUID: the same one again changes nothing. */
  id: string;
  tenantId: string;
  userId: string;
  /** How much more the budgets hold: a whole number from 1 on. */
  tokens: number;
  /** From when it means nothing any more: epoch milliseconds of the store's clock. */
  expiresAt: number;
  reason: string;
  /** Who granted it. */
  by: string;
}

/** With when it was granted: epoch milliseconds of the store's clock. */
export interface LiveBudgetGrant extends BudgetGrant {
  at: number;
}

/** `version` is opaque: it is to be given with the next question. */
export interface BudgetGrants {
  version: string;
  grants: LiveBudgetGrant[];
}

/** No more budget grants may be kept. One that was taken back counts until it is forgotten. */
export class BudgetGrantsFull extends Error {
  override readonly name = 'BudgetGrantsFull';

  constructor(most: number) {
    super(`${most} budget grants are kept, and there may be no more`);
  }
}

/** It would have expired by the store's clock before it began. */
export class BudgetGrantExpired extends Error {
  override readonly name = 'BudgetGrantExpired';

  constructor({ expiresAt }: BudgetGrant, now: number) {
    super(`a budget grant until ${expiresAt} has expired: the store’s clock says ${now}`);
  }
}

/** Throws `CountersUnavailable` where the route that it came by has not looked. */
export function checkBudgetGrant({ expiresAt, tokens }: BudgetGrant): void {
  const whole = (amount: number, least: number) => Number.isSafeInteger(amount) && amount >= least;
  if (whole(tokens, 1) && whole(expiresAt, 0)) return;
  throw new CountersUnavailable(`a budget grant's tokens are whole from 1, its end whole from 0, to ${MAX_AMOUNT}`);
}

export const oldestFirst = (grants: LiveBudgetGrant[]): LiveBudgetGrant[] =>
  grants.toSorted((a, b) => a.at - b.at || (a.id < b.id ? -1 : 1));
