import { createHash, randomInt } from 'node:crypto';
import { crc32 } from 'node:zlib';

const ALPHABET = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
/** By which a key is recognised, also one that is mistyped. */
export const KEY_PREFIX = 'ocr_';

const NAME_LENGTH = 12;
/** 190 bits. */
const SECRET_LENGTH = 32;
const CHECKSUM_LENGTH = 6;

/**
 * `ocr_<id>_<32 characters of secret><6 of checksum>`, the id being `k<partition>_<12 characters>`. In one piece for a double
 * click; the prefix lets scanners find a leaked one, and the checksum tells it from what only looks alike, without asking anybody.
 */
const KEY = /^ocr_(k\d{1,2}_[0-9A-Za-z]{12})_[0-9A-Za-z]{38}$/;

const random = (length: number) => Array.from({ length }, () => ALPHABET[randomInt(ALPHABET.length)]).join('');

export const newKeyId = (partition: number): string => `k${partition}_${random(NAME_LENGTH)}`;

/** A key that nobody has had before. It is to be shown once: only its digest may be kept. */
export function newKey(id: string): string {
  const body = `${KEY_PREFIX}${id}_${random(SECRET_LENGTH)}`;
  return body + checksum(body);
}

/** The id of a key; undefined for text that cannot be one: another form, or mistyped. */
export function idOfKey(text: string): string | undefined {
  const id = KEY.exec(text)?.[1];
  if (id === undefined || checksum(text.slice(0, -CHECKSUM_LENGTH)) !== text.slice(-CHECKSUM_LENGTH)) return undefined;
  return id;
}

/** As it is kept, for text as a header holds it. No salt: what is random over 190 bits is in no table, and nobody tries all. */
export const digestOfKey = (text: string): string => createHash('sha256').update(text, 'latin1').digest('hex');

/** CRC-32 in base 62, as keys of GitHub have it. */
function checksum(text: string): string {
  let rest = crc32(text);
  let digits = '';
  for (let place = 0; place < CHECKSUM_LENGTH; place++) {
    digits = ALPHABET[rest % ALPHABET.length] + digits;
    rest = Math.floor(rest / ALPHABET.length);
  }
  return digits;
}
