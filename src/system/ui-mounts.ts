import { operation, type Call, type Operation } from '../core/backend.ts'
import { mayComeFrom } from '../core/cidr.ts'
import { BrokerError, permissionDenied } from '../core/errors.ts'
import { text } from '../core/fields.ts'
import type { JsonObject } from '../core/json.ts'
import { requestPrefix, type Mount, type Token } from '../core/model.ts'
import type { MountTable, Resolved } from '../mounts/mount-table.ts'
import { mountInfo, mountOutline } from './mount-info.ts'

export interface UiMountsOptions {
  readonly mounts: MountTable
  readonly findToken: (clientToken: string, nowMs: number) => Promise<Token | null>
  /** Whether a token's policies give any right on a path or below it. */
  readonly reaches: (token: Token, prefix: string) => boolean
  /** Whether a mount that was found answers a token at the name by which it was found. */
  readonly answers: (token: Token, found: Resolved) => boolean
  /** Told of a question after a path where nothing is, which some clients ask before all others. Takes no time. */
  readonly missed: (probe: { path: string, token: Token | null, address: string }) => void
  readonly version: string
}

/** sys/internal/ui/mounts (contract 5.5): what a client asks before it knows what is mounted where. */
export function createUiMountsOperations (options: UiMountsOptions): Operation[] {
  const { mounts, findToken, reaches, version } = options
  const reachable = (token: Token | null, mount: Mount) => token !== null && reaches(token, requestPrefix(mount))

  function overview (table: Mount['table'], token: Token | null): JsonObject {
    const shown = mounts.all(table).flatMap((mount): [string, JsonObject][] => {
      const open = mount.config.listingVisibility === 'unauth'
      if (token === null) return open ? [[`${mount.path}/`, mountOutline(mount)]] : []
      return open || reachable(token, mount) ? [[`${mount.path}/`, mountInfo(mount, version)]] : []
    })
    return Object.fromEntries(shown)
  }

  /** These endpoints look at the token themselves, so that they hold it to its addresses too (SEC-102). */
  async function tokenOf ({ request: { clientToken, remoteAddress }, nowMs }: Call): Promise<Token | null> {
    if (clientToken === null) return null
    const token = await findToken(clientToken, nowMs)
    return token !== null && mayComeFrom(token, remoteAddress) ? token : null
  }

  return [
    operation({
      verb: 'read',
      path: 'internal/ui/mounts',
      access: 'public',
      summary: 'List the mounts that the caller may know of',
      fields: {},
      async run (call) {
        const token = await tokenOf(call)
        if (token === null && call.request.clientToken !== null) throw permissionDenied()
        return { kind: 'data', data: { secret: overview('secret', token), auth: overview('auth', token) } }
      }
    }),
    operation({
      verb: 'read',
      path: 'internal/ui/mounts/*path',
      access: 'public',
      summary: 'Find the mount of a path that the caller may reach',
      fields: { path: text('A path below a mount.') },
      async run (call, { path = '' }) {
        const token = await tokenOf(call)
        const found = mounts.resolve(path)
        if (found === null) options.missed({ path, token, address: call.request.remoteAddress })
        if (token === null) throw permissionDenied()
        if (found === null || !reachable(token, found.mount) || !options.answers(token, found)) {
          throw new BrokerError('permission_denied',
            `preflight capability check returned 403, please ensure client's policies grant access to path "${path}/"`)
        }
        const { mount, reached: { by }, rest } = found
        // Clients join this with the rest of the path that they asked for: it is the name that they used.
        const named = by === 'present' || by === 'grace' ? path.slice(0, path.length - rest.length).replace(/\/?$/, '/') : null
        const shown = named === null ? `${mount.path}/` : mount.table === 'auth' ? named.slice('auth/'.length) : named
        return { kind: 'data', data: { ...mountInfo(mount, version), path: shown } }
      }
    })
  ]
}
