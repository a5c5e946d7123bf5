import { requestPrefix, type Mount } from '../core/model.ts'

/**
 * The path that a policy names to let tokens use the own path of a mount whose names rotate: with
 * `read` on it, and where the mount's `stable_path` is `capability`. Nothing answers there.
 */
export function stableCapabilityPath (mount: Pick<Mount, 'table' | 'path'>): string {
  return `sys/latchkey/stable/${requestPrefix(mount).slice(0, -1)}`
}
