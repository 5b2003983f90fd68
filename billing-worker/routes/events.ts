import { Hono } from 'hono';
import { streamSSE } from 'hono/streaming';
import { wireError } from '../../schemas/errors.ts';
import type { BudgetFeed } from '../budget-feed.ts';

/** A connection on which nothing moves is kept open by a comment; proxies close silent ones after a minute. */
const HEARTBEAT_MS = 15_000;

/**
 * `GET /api/admin/events`: server-sent events (https://html.spec.whatwg.org/multipage/server-sent-events.html), one named `budget` for each
 * budget of a user that moves, with a `BudgetMove` as data. To who reads too slowly `missed` says how many were left out.
 */
export function eventRoutes({ feed }: { feed: BudgetFeed }): Hono {
  const app = new Hono();
  app.get('/api/admin/events', (c) => {
    if (feed.isFull)
      return c.json(wireError('internal_error', 'too many follow already'), 503, { 'Retry-After': '10' });
    return streamSSE(c, async (stream) => {
      const follower = feed.follow();
      stream.onAbort(() => feed.leave(follower));
      await stream.write(': follows\n\n');
      while (!stream.aborted && feed.has(follower)) {
        const { missed, moves } = await follower.next(HEARTBEAT_MS);
        if (missed) await stream.writeSSE({ event: 'missed', data: String(missed) });
        for (const move of moves) await stream.writeSSE({ event: 'budget', data: JSON.stringify(move) });
        if (moves.length === 0) await stream.write(': still here\n\n');
      }
    });
  });
  return app;
}
