/**
 * JSON Schemas of Kubernetes' kinds, as kubeconform reads them: `deployment-apps-v1.json`, and for the core group
 * `service-v1.json`. Strict: a field that the API does not know, and would drop, is a mistake.
 * @typedef {{ file: string, schema: object }} SchemaFile
 * @typedef {Record<string, any>} Schema
 */

/** The API takes numbers as well where its description says text. */
const LENIENT = {
  'io.k8s.apimachinery.pkg.util.intstr.IntOrString': { anyOf: [{ type: 'string' }, { type: 'integer' }] },
  'io.k8s.apimachinery.pkg.api.resource.Quantity': { anyOf: [{ type: 'string' }, { type: 'number' }] },
};

/** Kinds of these groups; of others nothing is used here. */
const GROUPS = new Set(['', 'apps', 'policy', 'networking.k8s.io', 'autoscaling', 'batch']);

/**
 * @param {{ definitions: Record<string, Schema> }} swagger Kubernetes' own OpenAPI document
 * @returns {SchemaFile[]}
 */
export function kindSchemas({ definitions }) {
  const strictOnes = Object.fromEntries(
    Object.entries(definitions).map(([name, schema]) => [
      name,
      LENIENT[/** @type {keyof typeof LENIENT} */ (name)] ?? strict(schema),
    ]),
  );
  return Object.entries(definitions).flatMap(([name, schema]) =>
    (schema['x-kubernetes-group-version-kind'] ?? [])
      .filter((/** @type {Schema} */ { group }) => GROUPS.has(group))
      .map((/** @type {Schema} */ { group, kind, version }) => ({
        file: fileOf(kind, group, version),
        schema: { $ref: `#/definitions/${name}`, definitions: reachable(name, strictOnes) },
      })),
  );
}

/**
 * @param {Schema} crd a CustomResourceDefinition
 * @returns {SchemaFile[]}
 */
export function crdSchema({ spec: { group, names, versions } }) {
  return versions.map((/** @type {Schema} */ { name, schema }) => {
    const { properties, ...rest } = schema.openAPIV3Schema;
    // Of the object itself a CRD says no more than that it is one.
    const top = { ...rest, properties: { ...properties, metadata: { type: 'object', required: ['name'] } } };
    return { file: fileOf(names.kind, group, name), schema: strict(top) };
  });
}

/** kubeconform knows a group by its first word: `networkpolicy-networking-v1.json`. */
const fileOf = (/** @type {string} */ kind, /** @type {string} */ group, /** @type {string} */ version) =>
  `${[kind.toLowerCase(), group.split('.')[0], version].filter(Boolean).join('-')}.json`;

/**
 * @param {any} schema
 * @returns {any}
 */
function strict(schema) {
  if (Array.isArray(schema)) return schema.map(strict);
  if (schema === null || typeof schema !== 'object') return schema;
  const inner = Object.fromEntries(
    Object.entries(schema).map(([key, value]) => [key, key === 'enum' ? value : strict(value)]),
  );
  const isOpen = inner.additionalProperties !== undefined || schema['x-kubernetes-preserve-unknown-fields'];
  const isObject = inner.properties && typeof inner.properties === 'object' && !('$ref' in inner) && !isOpen;
  return isObject && isSchema(schema) ? { ...inner, additionalProperties: false } : inner;
}

/** A field may itself be called `properties`. */
const isSchema = (/** @type {Schema} */ schema) => schema.type === undefined || typeof schema.type === 'string';

/**
 * @param {string} from
 * @param {Record<string, Schema>} definitions
 */
function reachable(from, definitions) {
  /** @type {Record<string, Schema>} */
  const found = {};
  const queue = [from];
  for (let name = queue.pop(); name !== undefined; name = queue.pop()) {
    const schema = definitions[name];
    if (!schema || found[name]) continue;
    found[name] = schema;
    queue.push(...[...JSON.stringify(schema).matchAll(/"#\/definitions\/([^"]+)"/g)].map(([, each]) => each ?? ''));
  }
  return found;
}
