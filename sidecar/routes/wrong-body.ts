import type { z } from 'zod';
import { Refusal } from './refusal.ts';

/** What is wrong with one member is told; with a hundred thousand, the answer would be many times as long as the body. */
const MAX_TOLD = 20;
const MAX_CHARACTERS = 500;

/** 400, naming each member that is wrong, up to a number. */
export function wrongBody({ issues }: z.ZodError): Refusal {
  const errors = issues.slice(0, MAX_TOLD).map(({ message, path }) => ({
    code: 'invalid_parameter',
    message: cut(`${path.join('.') || 'body'}: ${message}`),
  }));
  const more = issues.length - errors.length;
  const told = [...errors.map(({ message }) => message), ...(more > 0 ? [`and ${more} more`] : [])];
  return new Refusal(400, 'invalid_parameter', told.join('; '), errors);
}

const cut = (text: string) =>
  text.length > MAX_CHARACTERS ? `${text.slice(0, MAX_CHARACTERS).toWellFormed()}…` : text;
