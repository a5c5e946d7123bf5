import type { AuthMethod } from '../../core/backend.ts'
import type { Clock } from '../../core/clock.ts'
import { BrokerError } from '../../core/errors.ts'
import { key, mountShard, type Store } from '../../core/store.ts'
import { createLoginOperation, type Renewal } from './login.ts'
import { createOwnedRoles, type OwnedRoles } from './owned-roles.ts'
import { createRemoval, type Removal } from './removal.ts'
import { createRoleFieldOperations } from './role-fields.ts'
import { decodeRole, parseRoleName, rolePath, type Mac } from './role-store.ts'
import { createRoleOperations } from './roles.ts'
import { secretIdKey, secretIdsPrefix } from './secret-id.ts'
import { createSecretIdMaker } from './secret-id-maker.ts'
import { createSecretIdStore, type ListPage, type SecretIdStore } from './secret-id-store.ts'
import { createSecretIdOperations } from './secret-ids.ts'
import { createTidy, type Tidy } from './tidy.ts'

export interface AppRoleOptions {
  /** All shards: secret_ids live in the numbered ones. */
  readonly store: Store
  /** HMAC-SHA256 under the AppRole key over its parts, each behind its length (CRY-021). */
  readonly hmac: Mac
  readonly clock: Clock
  /** Told why a tidy that nobody waits for ended early. */
  readonly onError: (error: unknown) => void
}

/** The method, and what the broker does with its records outside of requests. */
export interface AppRoleMethod extends AuthMethod, Pick<Removal, 'dueHandlers' | 'removeMount'>, Pick<Tidy, 'idle'> {
  /** Secret_ids as the broker's own endpoint shows them. */
  readonly secretIds: SecretIdDirectory
  readonly ownedRoles: OwnedRoles
}

/** Finds secret_ids for an operator; none of them can be used by what it tells. */
export interface SecretIdDirectory extends Pick<SecretIdStore, 'inspect'> {
  /** Accessors of a role's live secret_ids, in order; null where there is no such role. */
  list (role: { mountAccessor: string, name: string }, page: ListPage, nowMs: number): Promise<string[] | null>
  /** Removes a secret_id, so that nobody logs in with it again. Repeatable. */
  remove (accessor: string): Promise<void>
}

/** AppRole (contract 2): machines log in with a role_id and a secret_id. */
export function createAppRoleMethod ({ store, hmac: mac, clock, onError }: AppRoleOptions): AppRoleMethod {
  const secretIds = createSecretIdStore(store, mac)
  const removal = createRemoval({ store, secretIds, mac, clock })
  const makeSecretId = createSecretIdMaker({ secretIds, mac })
  const tidy = createTidy({ removal, onError })
  return {
    type: 'approle',
    description: 'Lets machines log in with a role_id and a secret_id.',
    operations: [
      createLoginOperation({ store, secretIds, mac }),
      ...createRoleOperations({ mac, removeRole: removal.removeRole }),
      ...createRoleFieldOperations(mac),
      ...createSecretIdOperations({ secretIds, makeSecretId, mac }),
      ...tidy.operations
    ],
    secretIds: {
      inspect: secretIds.inspect,
      async list ({ mountAccessor, name }, page, nowMs) {
        const [entry = null] = await store.get([key(mountShard(mountAccessor), rolePath(parseRoleName(name)))])
        const role = decodeRole(entry)
        return role === null ? null : secretIds.list(secretIdsPrefix(mountAccessor, role.incarnation), page, nowMs)
      },
      remove: (accessor) => secretIds.remove([{ key: secretIdKey(accessor) }])
    },
    ownedRoles: createOwnedRoles({ mac, makeSecretId, endRole: removal.endRole }),
    idle: tidy.idle,
    dueHandlers: removal.dueHandlers,
    removeMount: removal.removeMount,
    async renew (context, renewal) {
      const { role: name, incarnation } = renewal as unknown as Renewal
      const [entry = null] = await context.store.get([rolePath(name)])
      const role = decodeRole(entry)
      if (role?.incarnation !== incarnation) {
        throw new BrokerError('failed', `failed to renew entry: role ${JSON.stringify(name)} does not exist during renewal`)
      }
      return {
        ttlSeconds: role.tokenTtlSeconds,
        ttlSecondsMax: role.tokenMaxTtlSeconds,
        periodSeconds: role.tokenPeriodSeconds
      }
    }
  }
}
