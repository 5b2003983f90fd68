import { Hono } from 'hono';
import { bodyLimit } from 'hono/body-limit';
import type { Sql } from 'postgres';
import Stripe from 'stripe';
import type { Clock } from '../../runtime/clock.ts';
import type { Log } from '../../runtime/log.ts';
import { wireError } from '../../schemas/errors.ts';
import { takeStripeEvent } from '../stripe/events.ts';

/** An invoice of 250 lines is in the event with its first ten. */
const MAX_BODY_BYTES = 1_048_576;
/** An older signature may be a recorded one. */
const TOLERANCE_S = 300;

export interface StripeWebhookDeps {
  /** Undefined: the route is not there. */
  stripeWebhookSecret?: string | undefined;
  sql: Sql;
  clock: Clock;
  log: Log;
}

/** `POST /webhooks/stripe`: what Stripe tells of our invoices. Its signature lets it in, in place of the admin token. */
export function stripeWebhookRoutes({ clock, log, sql, stripeWebhookSecret }: StripeWebhookDeps): Hono {
  const app = new Hono();
  if (!stripeWebhookSecret) return app;
  const tooLong = bodyLimit({
    maxSize: MAX_BODY_BYTES,
    onError: (c) => c.json(wireError('invalid_parameter', `the body is longer than ${MAX_BODY_BYTES} bytes`), 413),
  });
  app.post('/webhooks/stripe', tooLong, async (c) => {
    const body = await c.req.text();
    const signature = c.req.header('Stripe-Signature') ?? '';
    let event: Stripe.Event;
    try {
      event = Stripe.webhooks.constructEvent(body, signature, stripeWebhookSecret, TOLERANCE_S, undefined, clock.now());
    } catch {
      return c.json(wireError('invalid_parameter', 'the body has no valid signature of Stripe'), 400);
    }
    await takeStripeEvent(event, { sql, log });
    return c.json({ received: true });
  });
  return app;
}
