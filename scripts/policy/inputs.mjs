import { readFile } from 'node:fs/promises';
import { text } from 'node:stream/consumers';
import { absolute } from './place.mjs';

/**
 * The inputs of a command line: JSON itself, `-` for standard input, or a file of JSON. An array holds several.
 * @param {string} given
 * @returns {Promise<unknown[]>}
 * @throws {Error} that says what cannot be read
 */
export async function readInputs(given) {
  const { json, name } = await source(given);
  let value;
  try {
    value = JSON.parse(json);
  } catch (error) {
    throw new Error(`${name}: not valid JSON (${error.message}); such as {"tenant_id": "acme"}`);
  }
  const inputs = Array.isArray(value) ? value : [value];
  if (inputs.length === 0) throw new Error(`${name}: an empty array; such as {"tenant_id": "acme"} would be an input`);
  return inputs;
}

/** @param {string} given */
async function source(given) {
  if (/^\s*[{[]/.test(given)) return { name: '--input', json: given };
  if (given === '-') return { name: 'standard input', json: await text(process.stdin) };
  const json = await readFile(absolute(given), 'utf8').catch((error) => {
    const why = error.code === 'ENOENT' ? 'there is no such file' : error.message;
    throw new Error(`${given}: ${why}; --input takes a file, - for standard input, or JSON`);
  });
  return { name: given, json };
}
