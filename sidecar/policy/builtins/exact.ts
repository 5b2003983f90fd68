/** A whole number of any size as the runtime's own JSON text: a JavaScript number would round it above 2^53. */
export function exact(value: bigint): ArrayBuffer {
  const bytes = new TextEncoder().encode(value.toString());
  return bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength);
}
