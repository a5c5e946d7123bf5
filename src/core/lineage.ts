import type { Token } from './model.ts'
import { key, type Change, type Key } from './store.ts'

/** Where a token's record is; its accessor begins with the shard. */
export function tokenKey (accessor: string): Key {
  return key(accessor.slice(0, 2), `token/${accessor}`)
}

/**
 * The conditions under which anything may be made under a token: it and all its ancestors are
 * present in the very write that makes it. So a revocation that runs at the same time wins, and
 * nothing is left behind (contract 3.5).
 */
export function lineageChecks (token: Pick<Token, 'accessor' | 'lineage'>): Change[] {
  return [...token.lineage, token.accessor].map((accessor) => ({ op: 'check', key: tokenKey(accessor), expect: 'present' }))
}
