import { bringCaddy } from '../helpers/bring.ts';
import { startShippedCaddy } from '../helpers/shipped-gateways.ts';
import { forwardAuthSuite } from './forward-auth.suite.ts';

forwardAuthSuite({
  name: 'Caddy',
  bring: bringCaddy,
  start: startShippedCaddy,
  tooMany: { reason: 'rate_limited' },
  away: 502,
});
