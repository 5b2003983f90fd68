import { afterEach, beforeEach, describe } from 'vitest';
import { describeAmounts } from './amounts.suite.ts';
import { describeApiKeys } from './api-keys.suite.ts';
import { describeBudgetGrants } from './budget-grants.suite.ts';
import { describeCandidates } from './candidates.suite.ts';
import { describeConcurrency } from './concurrency.suite.ts';
import { describeExpiry } from './expiry.suite.ts';
import { describeGates } from './gates.suite.ts';
import { describeIdempotency } from './idempotency.suite.ts';
import { describeNames } from './names.suite.ts';
import { describeOwed } from './owed.suite.ts';
import { describeProviders } from './providers.suite.ts';
import { describeRecords } from './records.suite.ts';
import { describeScriptsGone } from './scripts-gone.suite.ts';
import { describeSettle } from './settle.suite.ts';
import { describeShared } from './shared.suite.ts';
import { describeTake } from './take.suite.ts';
import { describeThresholds } from './threshold.suite.ts';
import { describeTime } from './time.suite.ts';
import { describeWindows } from './window.suite.ts';
import { type OpenStore, Workbench } from './workbench.ts';

export interface StoreTraits {
  /** Whether `open` gives a clock; what only time can show is left out without one. */
  settableClock: boolean;
  /** Whether it runs scripts that a server can forget. */
  scripts: boolean;
}

/**
 * The promises of `CounterStore`, shown on a real store. Every store runs the same tests. Each is named after the
 * promise that it shows, by its number in `docs/architecture.md`.
 */
export function describeCounterStore(name: string, open: OpenStore, { scripts, settableClock }: StoreTraits): void {
  describe(name, () => {
    let current: Workbench | undefined;
    const bench = () => current as Workbench;

    beforeEach(async () => {
      current = new Workbench(await open());
    });
    afterEach(async () => {
      await current?.close();
      current = undefined;
    });

    describeTake(bench);
    describeCandidates(bench);
    describeIdempotency(bench);
    describeSettle(bench);
    describeAmounts(bench);
    describeNames(bench);
    describeConcurrency(bench);
    describeThresholds(bench, { settableClock });
    describeGates(bench, { settableClock });
    describeShared(bench, { settableClock });
    describeOwed(bench, { settableClock });
    describeBudgetGrants(bench, open, { scripts, settableClock });
    describeApiKeys(bench, open, { scripts, settableClock });
    describeProviders(bench, { settableClock });
    describeRecords(open, { settableClock });
    if (scripts) describeScriptsGone(bench);
    if (!settableClock) return;
    describeTime(bench);
    describeWindows(bench);
    describeExpiry(bench);
  });
}
