import { setTimeout as sleep } from 'node:timers/promises';
import { clockFaults } from './faults/clock.ts';
import { databaseFaults } from './faults/database.ts';
import type { Fault } from './faults/fault.ts';
import { linkFaults } from './faults/links.ts';
import { policyFaults } from './faults/policy.ts';
import { processFaults } from './faults/processes.ts';
import { redisFaults } from './faults/redis.ts';
import { streamFaults } from './faults/stream.ts';

/** All that is done to a rig. Each is over, but for what it leaves behind, when it resolves. */
export const FAULTS: readonly Fault[] = [
  ...processFaults,
  ...redisFaults,
  ...linkFaults,
  ...databaseFaults,
  ...streamFaults,
  ...policyFaults,
];

/** Only where the store's clock can be set. */
export const CLOCK_FAULTS: readonly Fault[] = clockFaults;

/** Nothing, for as long as a fault usually takes. */
export const PEACE: Fault = { name: 'peace', run: (_, dice) => sleep(dice.between(50, 200)) };
