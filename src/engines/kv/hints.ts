import { isListing, type Call, type Outcome, type Verb } from '../../core/backend.ts'
import { requestPrefix } from '../../core/model.ts'

const wordOf: Readonly<Record<Verb, string>> = { read: 'get', write: 'put', patch: 'patch', delete: 'delete', list: 'list', scan: 'list' }
const roots: ReadonlySet<string> = new Set(['data', 'metadata', 'delete', 'undelete', 'destroy'])
const known: ReadonlySet<string> = new Set([...roots, 'subkeys', 'detailed-metadata'])

/**
 * What a caller is told who uses the paths of version 1 on a mount of version 2 (contract 7.7): the
 * 404 carries a warning that the command line client prints. Null where the path is right and the
 * verb is not.
 */
export function hintFor ({ mount, request: { path } }: Pick<Call, 'mount' | 'request'>, verb: Verb): Outcome | null {
  const rest = path.slice(requestPrefix(mount).length)
  if (rest === 'config' && !isListing(verb)) return null
  const [first = '', ...more] = rest.split('/')
  if (more.length > 0 && known.has(first)) return null
  const warning = roots.has(rest)
    ? 'Non-listing operations on the root of a K/V v2 mount are not supported.'
    : 'Invalid path for a versioned K/V secrets engine. See the API docs for the appropriate API endpoints to use. ' +
      `If using the Vault CLI, use 'vault kv ${wordOf[verb]}' for this operation.`
  return { kind: 'data', data: null, warnings: [warning], as: 'absent' }
}
