import { Hono } from 'hono';
import { readText } from '../routes/body.ts';
import { parseAny } from '../routes/json.ts';
import { wrongBody } from '../routes/wrong-body.ts';
import { type Peps, pepReportSchema } from './peps.ts';

/** `POST /v1/peps`: a policy enforcement point says that it is there, and whether it asks before each request. */
export function pepRoutes({ maxBodyBytes, peps }: { maxBodyBytes: number; peps: Peps }): Hono {
  const app = new Hono();
  app.post('/v1/peps', async (c) => {
    const parsed = pepReportSchema.safeParse(
      parseAny(await readText(c, { maxBytes: maxBodyBytes, status: 413 }), 'body'),
    );
    if (!parsed.success) throw wrongBody(parsed.error);
    peps.note(parsed.data);
    return c.body(null, 204);
  });
  return app;
}
