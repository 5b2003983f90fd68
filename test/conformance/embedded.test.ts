import { pino } from 'pino';
import { createEmbeddedStore } from '../../sidecar/counters/embedded/open.ts';
import { TestClock } from '../helpers/clock.ts';
import { SETTINGS } from '../helpers/counter-settings.ts';
import { tempDir } from '../helpers/temp-dir.ts';
import { describeCounterStore } from './counter-store.suite.ts';

describeCounterStore(
  'the embedded store',
  async () => {
    const clock = new TestClock();
    const dataDir = await tempDir('counters');
    const embedded = await createEmbeddedStore({ dataDir, clock, log: pino({ level: 'silent' }), settings: SETTINGS });
    return { ...embedded, clock };
  },
  { settableClock: true },
);
