import type { Environment } from '../../runtime/config/environment.ts';
import type { CounterSettings } from './contract.ts';

export const counterSettings = ({ RESERVATION_TTL_S }: Environment): CounterSettings => ({
  reservationTtlMs: RESERVATION_TTL_S * 1000,
});
