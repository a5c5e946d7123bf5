import { ownPath, type Mount } from '../core/model.ts'
import type { Reached } from './name-table.ts'

/** What is asked of a caller's policies. */
interface StableAcl {
  check (query: { path: string, operation: 'read', data: null, wrapTtlSeconds: null }): { readonly allowed: boolean }
}

/**
 * The path that a policy names to let tokens use the own path of a mount whose names rotate: with
 * `read` on it, and where the mount's `stable_path` is `capability`. Nothing answers there.
 */
function stableCapabilityPath (mount: Pick<Mount, 'table' | 'path'>): string {
  return `sys/latchkey/stable/${ownPath(mount)}`
}

/** Whether a mount answers a caller at the name by which it was found; null: who shows no token. */
export function answersAt (
  { mount, reached }: { readonly mount: Pick<Mount, 'table' | 'path'>, readonly reached: Reached }, acl: StableAcl | null
): boolean {
  if (reached.by !== 'guarded') return true
  const query = { path: stableCapabilityPath(mount), operation: 'read', data: null, wrapTtlSeconds: null } as const
  return acl?.check(query).allowed === true
}
