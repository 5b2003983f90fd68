import type { Environment } from '../../runtime/config/environment.ts';
import type { CounterSettings } from './contract.ts';

export const counterSettings = ({
  MAX_DECISION_RECORDS,
  ON_STORE_FAILURE,
  RESERVATION_TTL_S,
  STORE_TIMEOUT_MS,
}: Environment): CounterSettings => ({
  reservationTtlMs: RESERVATION_TTL_S * 1000,
  timeoutMs: STORE_TIMEOUT_MS,
  maxRecords: MAX_DECISION_RECORDS,
  traceCalls: ON_STORE_FAILURE === 'allow',
});
