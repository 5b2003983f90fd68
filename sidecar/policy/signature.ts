import { createHash, createPublicKey, type KeyObject } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { compactVerify } from 'jose';
import { z } from 'zod';
import { ConfigError } from '../../runtime/config/config-error.ts';
import { BundleError } from './bundle-error.ts';
import { structuredText } from './structured-hash.ts';

const SIGNATURES = '.signatures.json';

/** OPA's names of the hashes that are still good for this; it knows MD5 and SHA-1 as well. */
const HASHES: Record<string, string> = {
  'SHA-224': 'sha224',
  'SHA-256': 'sha256',
  'SHA-384': 'sha384',
  'SHA-512': 'sha512',
  'SHA-512-224': 'sha512-224',
  'SHA-512-256': 'sha512-256',
};

const signaturesSchema = z.object({
  signatures: z.array(z.string()).length(1),
  plugin: z.enum(['', '_default']).optional(),
});

const payloadSchema = z.looseObject({
  files: z.array(z.object({ name: z.string(), hash: z.string(), algorithm: z.string() })),
  scope: z.literal('', { error: 'must be absent, because none is configured' }).optional(),
});

type SignedFile = z.infer<typeof payloadSchema>['files'][number];

/** The public keys in a PEM file, several while they are rotated. Throws `ConfigError`. */
export async function readPublicKeys(file: string): Promise<KeyObject[]> {
  const text = await readFile(file, 'utf8').catch((error: Error) => {
    throw new ConfigError([`environment: POLICY_PUBLIC_KEY_FILE cannot be read: ${error.message}`]);
  });
  const blocks = text.match(/-----BEGIN ([A-Z ]+)-----[\s\S]+?-----END \1-----/g) ?? [];
  try {
    if (blocks.length === 0) throw new Error('there is none');
    if (blocks.some((block) => block.includes('PRIVATE KEY')))
      throw new Error('there is a private key, to be kept away');
    return blocks.map((block) => createPublicKey(block));
  } catch (error) {
    const why = (error as Error).message;
    throw new ConfigError([`environment: POLICY_PUBLIC_KEY_FILE must hold public keys in PEM form; ${why}`]);
  }
}

/**
 * OPA's bundle signature: a JWT over the hash of every file but itself.
 * https://www.openpolicyagent.org/docs/management-bundles#signing
 * Throws `BundleError` unless one of the keys made it, and it names exactly the files that are there, as they are.
 */
export async function verifySignature(
  files: ReadonlyMap<string, Buffer>,
  keys: readonly KeyObject[],
  name: string,
): Promise<void> {
  const problem = await whatIsWrong(files, keys).catch(explain);
  if (problem) {
    const mend = 'sign it with `opa build --signing-key` or `opa sign`, and the key of POLICY_PUBLIC_KEY_FILE';
    throw new BundleError('signature', `${name}: ${problem}; ${mend}`);
  }
}

const explain = (error: Error) => (error instanceof z.ZodError ? z.prettifyError(error) : error.message);

async function whatIsWrong(
  files: ReadonlyMap<string, Buffer>,
  keys: readonly KeyObject[],
): Promise<string | undefined> {
  const bytes = files.get(SIGNATURES);
  if (!bytes) return `it is not signed: there is no ${SIGNATURES} in it`;
  const [token] = signaturesSchema.parse(JSON.parse(bytes.toString('utf8'))).signatures;
  const signed = await signedFiles(token ?? '', keys);
  if (!signed) return 'its signature was not made with a known key';
  const unsigned = [...files.keys()].find((file) => file !== SIGNATURES && !signed.has(file));
  if (unsigned !== undefined) return `${unsigned} is not covered by its signature`;
  for (const file of signed.values()) {
    const content = files.get(file.name);
    if (!content) return `${file.name} is in its signature, but not in it`;
    if (!HASHES[file.algorithm]) return `${file.name} is signed with the hash ${file.algorithm}, which does not serve`;
    if (hashOf(file, content) !== file.hash.toLowerCase()) return `${file.name} is not what was signed`;
  }
  return undefined;
}

/** Undefined if none of the keys made the token. Throws if it says something else than it should. */
async function signedFiles(token: string, keys: readonly KeyObject[]): Promise<Map<string, SignedFile> | undefined> {
  for (const key of keys) {
    // The algorithms are the key's own, whatever the token says of itself.
    const verified = await compactVerify(token, key, { algorithms: algorithmsOf(key) }).catch(() => undefined);
    if (!verified) continue;
    const payload = payloadSchema.parse(JSON.parse(new TextDecoder().decode(verified.payload)));
    return new Map(payload.files.map((file) => [file.name, file]));
  }
  return undefined;
}

function algorithmsOf(key: KeyObject): string[] {
  if (key.asymmetricKeyType === 'rsa') return ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512'];
  if (key.asymmetricKeyType === 'ec') return ['ES256', 'ES384', 'ES512'];
  return ['EdDSA'];
}

/** As OPA: JSON files by what they say, others by their bytes. */
function hashOf({ algorithm, name }: SignedFile, content: Buffer): string {
  const structured = /(^|\/)(data\.json|\.manifest)$/.test(name);
  return createHash(HASHES[algorithm] ?? '')
    .update(structured ? structuredText(content.toString('utf8')) : content)
    .digest('hex');
}
