import { operation, type Operation } from '../core/backend.ts'
import { invalidRequest, notFound } from '../core/errors.ts'
import { int, text } from '../core/fields.ts'
import type { JsonObject } from '../core/json.ts'
import type { MountTable } from '../mounts/mount-table.ts'
import { timestamp } from './timestamp.ts'

/** What an operator is shown of an AppRole secret_id. */
export interface SecretIdInfo {
  readonly secretId: {
    readonly accessor: string
    readonly mountAccessor: string
    readonly roleName: string
    readonly issuedAtMs: number
    /** null: never. */
    readonly expiresAtMs: number | null
    /** 0: unlimited. */
    readonly numUses: number
    readonly usesLeft: number
    readonly metadata: Readonly<Record<string, string>>
  }
  /** null: it was not used yet. Up to a second behind. */
  readonly lastUse: { readonly atMs: number, readonly from: string } | null
}

/** Where secret_ids are found. */
export interface SecretIdFinder {
  inspect (accessors: readonly string[], nowMs: number): Promise<SecretIdInfo[]>
  /** null: no such role. @throws BrokerError for what no role can be called. */
  list (
    role: { mountAccessor: string, name: string },
    page: { after?: string | undefined, limit?: number | undefined },
    nowMs: number
  ): Promise<string[] | null>
}

export interface SecretIdOptions {
  readonly secretIds: SecretIdFinder
  readonly mounts: Pick<MountTable, 'find' | 'byAccessor'>
}

/** Accessors answered by one list, with what is known of each. */
const listMax = 1000

/** `sys/latchkey/secret-ids`: which secret_ids live, and which of them were used when and from where. */
export function createSecretIdOperations ({ secretIds, mounts }: SecretIdOptions): Operation[] {
  function describe ({ secretId, lastUse }: SecretIdInfo): JsonObject {
    return {
      secret_id_accessor: secretId.accessor,
      mount: mounts.byAccessor(secretId.mountAccessor)?.path ?? null,
      role_name: secretId.roleName,
      creation_time: timestamp(secretId.issuedAtMs),
      expiration_time: secretId.expiresAtMs === null ? null : timestamp(secretId.expiresAtMs),
      secret_id_num_uses: secretId.numUses,
      uses_left: secretId.numUses === 0 ? null : secretId.usesLeft,
      metadata: secretId.metadata,
      last_used_time: lastUse === null ? null : timestamp(lastUse.atMs),
      last_used_from: lastUse === null ? null : lastUse.from
    }
  }

  return [
    operation({
      verb: 'list',
      path: 'latchkey/secret-ids',
      access: 'capability',
      summary: 'Lists the secret_ids of an AppRole role with their last uses.',
      fields: {
        mount: text('Path of the auth mount, as "approle"'),
        role: text('Name of the role'),
        after: text('Accessors after this one'),
        limit: int(`Most accessors to answer, up to ${listMax}`)
      },
      async run ({ nowMs }, input) {
        const { mount, role, after, limit = listMax } = input
        if (mount === undefined || mount === '') throw invalidRequest('missing mount')
        if (role === undefined || role === '') throw invalidRequest('missing role')
        const found = mounts.find('auth', mount.replace(/^auth\//, '').replace(/\/$/, ''))
        if (found === null) throw notFound()
        const page = { after, limit: limit > 0 ? Math.min(limit, listMax) : listMax }
        const keys = await secretIds.list({ mountAccessor: found.accessor, name: role }, page, nowMs)
        if (keys === null) throw notFound()
        const inspected = await secretIds.inspect(keys, nowMs)
        const info = inspected.map((one) => [one.secretId.accessor, describe(one)] as const)
        return { kind: 'data', data: { keys, key_info: Object.fromEntries(info) } }
      }
    }),
    operation({
      verb: 'read',
      path: 'latchkey/secret-ids/:accessor',
      access: 'capability',
      summary: 'Reads what is known of a secret_id, its last use included.',
      fields: { accessor: text('The accessor of a secret_id') },
      async run ({ nowMs }, { accessor = '' }) {
        const [found] = await secretIds.inspect([accessor], nowMs)
        if (found === undefined) throw notFound()
        return { kind: 'data', data: describe(found) }
      }
    })
  ]
}
