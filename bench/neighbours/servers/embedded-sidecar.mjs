// The sidecar on the embedded store without the billing worker that `npm start` runs in the same process, so that it can be
// compared with the sidecar on Redis, which has none beside it either. All of it is the project's own.
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

const load = (/** @type {string} */ file) => import(pathToFileURL(join(process.env.ROOT ?? '', 'dist', file)).href);
const { systemClock } = await load('runtime/clock.js');
const { openLiveConfig } = await load('runtime/config/live-config.js');
const { runMain } = await load('runtime/main.js');
const { createEmbeddedStore } = await load('sidecar/counters/embedded/open.js');
const { counterSettings } = await load('sidecar/counters/settings.js');
const { serveSidecar } = await load('sidecar/serve.js');

await runMain('openclaw-sidecar', async (context) => {
  const { closers, environment, log } = context;
  const { ADMIN_TOKEN: adminToken, DATA_DIR: dataDir } = environment;
  const config = openLiveConfig(context);
  await mkdir(dataDir, { recursive: true });
  const settings = counterSettings(environment);
  const { store } = await createEmbeddedStore({ dataDir, clock: systemClock, log, settings });
  closers.add('counters', () => store.close());
  await serveSidecar(context, { config, store, adminToken });
  config.start();
});
