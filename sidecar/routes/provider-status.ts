import { Hono } from 'hono';
import { type ProviderStatusDeps, providerStatus } from '../providers/provider-status.ts';
import { readOptions } from './options.ts';
import { reply } from './reply.ts';

/** `GET /v1/status/providers`: which models of which accounts can be asked now, and if not, why and until when. */
export function providerStatusRoutes(deps: ProviderStatusDeps): Hono {
  const app = new Hono();
  app.get('/v1/status/providers', async (c) =>
    reply(c, { accounts: await providerStatus(deps) }, { pretty: readOptions(c).pretty }),
  );
  return app;
}
