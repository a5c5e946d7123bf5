import { requestPrefix } from '../core/model.ts'
import type { LeaseMounts } from './ports.ts'

/** A part of the store's names that a prefix of lease ids stands for. */
export interface Place {
  readonly kind: 'lease' | 'token'
  /** The store's prefix, with its slash. */
  readonly names: string
  /** What of the mount's path lies below the prefix that was asked for; empty within a mount. */
  readonly folder: string
}

/**
 * Where leases below a prefix are. It ends at a segment: `aws/creds/r1` covers nothing of
 * `aws/creds/r10` (SEC-153). The empty prefix stands for all mounts.
 */
export function placesOf (mounts: Pick<LeaseMounts, 'all'>, prefix: string): Place[] {
  const asked = prefix === '' || prefix.endsWith('/') ? prefix : `${prefix}/`
  return mounts.all().flatMap((mount): Place[] => {
    const at = requestPrefix(mount)
    const kind = mount.table === 'auth' ? 'token' : 'lease'
    const names = `${kind}/${mount.accessor}/`
    if (at.startsWith(asked)) return [{ kind, names, folder: at.slice(asked.length) }]
    if (asked.startsWith(at)) return [{ kind, names: names + asked.slice(at.length), folder: '' }]
    return []
  })
}
