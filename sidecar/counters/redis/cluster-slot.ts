export const SLOTS = 16_384;

/**
 * The slot of a Redis Cluster that a key lies in: of its hash tag, where it has one. The client library keeps its own
 * to itself.
 */
export function slotOf(key: string): number {
  return crc16(Buffer.from(hashed(key))) % SLOTS;
}

/** What stands between the first `{` and the `}` after it, unless that is nothing. */
function hashed(key: string): string {
  const open = key.indexOf('{');
  const close = open < 0 ? -1 : key.indexOf('}', open + 1);
  return close > open + 1 ? key.slice(open + 1, close) : key;
}

/** CRC-16/XMODEM, as Redis takes it. */
function crc16(bytes: Uint8Array): number {
  let crc = 0;
  for (const byte of bytes) {
    crc ^= byte << 8;
    for (let bit = 0; bit < 8; bit++) crc = (crc & 0x8000 ? (crc << 1) ^ 0x1021 : crc << 1) & 0xffff;
  }
  return crc;
}
