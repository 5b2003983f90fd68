import { pino } from 'pino';
import { createEmbeddedStore } from '../../../sidecar/counters/embedded/open.ts';
import { TestClock } from '../../helpers/clock.ts';
import { SETTINGS } from '../../helpers/counter-settings.ts';
import { tempDir } from '../../helpers/temp-dir.ts';
import type { OpenStore } from '../workbench.ts';

/** An embedded store in a folder of its own, with a clock that a test sets. */
export const openEmbedded: OpenStore = async (given = {}) => {
  const clock = new TestClock();
  const settings = { ...SETTINGS, ...given };
  const dataDir = await tempDir('counters');
  const openNow = () => createEmbeddedStore({ dataDir, clock, log: pino({ level: 'silent' }), settings });
  let embedded = await openNow();
  const { store, stream } = embedded;
  const close = () => embedded.close();
  const another = async () => {
    await close();
    embedded = await openNow();
    return embedded.store;
  };
  return { store, stream, another, close, clock };
};
