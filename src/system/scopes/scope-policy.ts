import { requestPrefix } from '../../core/model.ts'
import type { Grant, Grantable, ScopeMount, ScopePlan } from './scope.ts'

/** The policy of a scope's tokens: its own mounts, who may learn their names, and what it was granted. */
export function scopePolicyText (name: string, { mounts, grants }: ScopePlan): string {
  const rules = [...mounts.flatMap(rulesOf), ...grants].filter(({ capabilities }) => capabilities.length > 0)
  return `# Made for the scope ${name}, and goes with it.\n${rules.map(stanza).join('')}`
}

/** Paths hold no character that a quoted text would have to escape; see `scope-input.ts`. */
function stanza ({ path, capabilities }: Grant): string {
  return `path "${path}" {\n  capabilities = [${capabilities.map((word) => `"${word}"`).join(', ')}]\n}\n`
}

function rulesOf (mount: ScopeMount): Grant[] {
  const prefix = requestPrefix({ table: 'secret', path: mount.path })
  const keys = mount.version === '1'
    ? [{ path: `${prefix}*`, capabilities: mount.capabilities }]
    : versionedRules(prefix, mount.capabilities)
  if (mount.rotation === null) return keys
  return [...keys, { path: `sys/latchkey/resolve/${mount.path}`, capabilities: ['read'] }]
}

/** Of a KV mount with versions (contract 7.3 to 7.6). Its settings, `config`, stay with those who run the broker. */
function versionedRules (prefix: string, granted: readonly Grantable[]): Grant[] {
  const of = (...words: Grantable[]) => granted.filter((word) => words.includes(word))
  const whoMay = (word: Grantable): Grantable[] => granted.includes(word) ? ['update'] : []
  return [
    { path: `${prefix}data/*`, capabilities: of('create', 'read', 'update', 'patch', 'delete') },
    { path: `${prefix}metadata/*`, capabilities: granted },
    { path: `${prefix}subkeys/*`, capabilities: of('read') },
    { path: `${prefix}delete/*`, capabilities: whoMay('delete') },
    { path: `${prefix}destroy/*`, capabilities: whoMay('delete') },
    { path: `${prefix}undelete/*`, capabilities: whoMay('update') }
  ]
}
