import { InvalidArgumentError } from 'commander';

/**
 * For an option of a command.
 * @param {number} least
 * @param {number} most
 * @returns {(text: string) => number}
 */
export const whole = (least, most) => (text) => {
  const value = Number(text);
  if (/^\d+$/.test(text) && value >= least && value <= most) return value;
  throw new InvalidArgumentError(`It must be a whole number from ${least} to ${most}.`);
};

/**
 * For an option of a command: epoch milliseconds of a time such as 2026-11-21T09:00:00Z.
 * @param {string} text
 */
export function instant(text) {
  const at = Date.parse(text);
  if (Number.isFinite(at) && at >= 0) return at;
  throw new InvalidArgumentError('It must be a time such as 2026-11-21T09:00:00Z.');
}
