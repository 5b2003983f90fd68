import { streamSSE } from 'hono/streaming';
import type { Clock } from '../../runtime/clock.ts';
import type { BudgetFeed, BudgetMove } from '../budget-feed.ts';
import { PAGE_HEADERS } from './respond.tsx';
import { getSecret } from './session/cookies.ts';
import type { PageContext } from './session/guard.ts';
import type { Sessions } from './session/sessions.ts';

/** Proxies close silent connections after a minute. With each of these it is looked whether the session still is. */
const HEARTBEAT_MS = 15_000;

interface LiveDeps {
  feed: BudgetFeed;
  sessions: Sessions;
  clock: Pick<Clock, 'monotonic'>;
}

/** Server-sent events: each budget of a user that moves, of all tenants or of the session's own. Ends with the session. */
export function liveMoves(c: PageContext, { clock, feed, sessions }: LiveDeps): Response {
  const tenantId = c.get('session')?.tenantId;
  if (tenantId === undefined) return c.body(null, 401);
  if (feed.isFull) return c.body(null, 503, { 'Retry-After': '10' });
  const secret = getSecret(c, c.get('area')) ?? '';
  const isWanted = (move: BudgetMove) => tenantId === null || move.tenant_id === tenantId;
  for (const [name, value] of Object.entries(PAGE_HEADERS)) c.header(name, value);
  c.header('X-Accel-Buffering', 'no');
  return streamSSE(c, async (stream) => {
    const follower = feed.follow();
    stream.onAbort(() => feed.leave(follower));
    await stream.write(': follows\n\n');
    let looked = clock.monotonic();
    while (!stream.aborted && feed.has(follower)) {
      const { missed, moves } = await follower.next(HEARTBEAT_MS);
      if (missed) await stream.writeSSE({ event: 'missed', data: String(missed) });
      for (const move of moves.filter(isWanted))
        await stream.writeSSE({ event: 'budget', data: JSON.stringify(shown(move)) });
      if (clock.monotonic() - looked < HEARTBEAT_MS && moves.length > 0) continue;
      await stream.write(': still here\n\n');
      if (!(await sessions.find(secret))) break;
      looked = clock.monotonic();
    }
    feed.leave(follower);
  });
}

/** No more than the page's script needs. */
const shown = ({ limit, tenant_id, used }: BudgetMove) => ({ limit, tenant_id, used });
