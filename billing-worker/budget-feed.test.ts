import { expect, test } from 'vitest';
import { BudgetFeed } from './budget-feed.ts';
import { eventRoutes } from './routes/events.ts';

test('no more than a thousand follow; who is one too many is told to come later, and one that leaves makes room', async () => {
  const feed = new BudgetFeed();
  const followers = Array.from({ length: 1_000 }, () => feed.follow());
  const app = eventRoutes({ feed });
  const refused = await app.request('/api/admin/events');
  expect([refused.status, refused.headers.get('Retry-After')]).toEqual([503, '10']);
  for (const follower of followers.slice(0, 1)) feed.leave(follower);
  const followed = await app.request('/api/admin/events');
  expect([followed.status, followed.headers.get('Content-Type')]).toEqual([200, 'text/event-stream']);
  await followed.body?.cancel();
  feed.close();
});
