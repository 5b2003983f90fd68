/** Keys cannot be read, or are none. The message says from where and why, and holds no secret. */
export class KeysError extends Error {
  override name = 'KeysError';
}
