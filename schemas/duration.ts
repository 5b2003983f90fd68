import { z } from 'zod';

const UNITS = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;
const DURATION = /^(\d{1,9})(s|m|h|d)$/;

/** `90s`, `30m`, `72h`, `14d`; becomes milliseconds. A day has 24 hours. */
export const durationSchema = (most: { text: string; milliseconds: number }) => {
  const error = `must be a whole number with s, m, h or d, such as "72h", and ${most.text} at most`;
  return z
    .string({ error })
    .refine((text) => DURATION.test(text) && milliseconds(text) <= most.milliseconds, { error })
    .transform(milliseconds);
};

function milliseconds(text: string): number {
  const [, amount, unit] = DURATION.exec(text) ?? [];
  return Number(amount) * UNITS[unit as keyof typeof UNITS];
}
