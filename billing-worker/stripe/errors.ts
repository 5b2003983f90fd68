import Stripe from 'stripe';
import { NotSent } from '../exports/target.ts';

const SHOWN = 400;
/** What is wrong with a request may be mended meanwhile, at Stripe or in the configuration; so it is not given up at once. */
const PATIENCE = 3;

/** What an error of the client means for the outbox. `NotSent` stays as it is. */
export function notSent(error: unknown, { attempts }: { attempts: number }): unknown {
  if (!(error instanceof Stripe.errors.StripeError)) return error;
  const { code, message, requestId, statusCode } = error;
  if (error instanceof Stripe.errors.StripeConnectionError || statusCode === undefined) {
    return new NotSent('Stripe cannot be reached, or did not answer in time');
  }
  // A message about a key shows a part of it.
  const isAboutKey = error instanceof Stripe.errors.StripeAuthenticationError;
  const said = isAboutKey ? 'the secret key is refused' : withoutSecrets(message);
  const reason = [`Stripe answered ${statusCode}`, code, said, requestId && `request ${requestId}`].filter(Boolean);
  // Another request with the key is at work, or there are too many: nothing was kept under the key.
  const passing = statusCode === 409 || statusCode === 429;
  const isWrong = error instanceof Stripe.errors.StripeInvalidRequestError && !passing;
  return new NotSent(reason.join(': '), { answered: !passing, final: isWrong && attempts >= PATIENCE });
}

const withoutSecrets = (text: string): string =>
  text.replace(/\b(?:sk|rk|pk|whsec)_[\w*-]+/g, '[secret]').slice(0, SHOWN);
