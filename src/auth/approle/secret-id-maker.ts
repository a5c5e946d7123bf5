import type { Call } from '../../core/backend.ts'
import { invalidRequest } from '../../core/errors.ts'
import { createRoleStore, noSuchRole, type Mac } from './role-store.ts'
import type { Role } from './role.ts'
import { newSecretId, secretIdKey, type SecretIdRecord, type SecretIdTerms } from './secret-id.ts'
import type { SecretIdStore } from './secret-id-store.ts'

/** What of a call the making of a secret_id needs. */
export type Maker = Pick<Call, 'mount' | 'store' | 'nowMs' | 'ttlBounds'>

/** A secret_id that was made; its text is known to the caller alone. */
export interface Made {
  readonly accessor: string
  readonly record: SecretIdRecord
}

/** Registers a secret_id of a role within the role's limits (contract 2.3). @throws BrokerError with the contract's sentence */
export type MakeSecretId = (call: Maker, role: Role, secretId: string, terms: SecretIdTerms) => Promise<Made>

export function createSecretIdMaker ({ secretIds, mac }: { secretIds: SecretIdStore, mac: Mac }): MakeSecretId {
  /** A role deleted since it was read may have looked for its secret_ids before this one was there. */
  async function refuseDeletedRole ({ mount, store }: Maker, role: Role, accessor: string): Promise<void> {
    const present = await createRoleStore(store, mac, mount.accessor).find(role.name)
    if (present?.incarnation === role.incarnation) return
    await secretIds.remove([{ key: secretIdKey(accessor) }])
    throw noSuchRole('not_found', role.name)
  }

  return async (call, role, secretId, terms) => {
    const { mount: { accessor: mountAccessor }, nowMs, ttlBounds: { ttlSecondsMax } } = call
    const record = newSecretId(role, terms, { mountAccessor, nowMs, ttlSecondsMax })
    const accessor = secretIds.accessorOf({ mountAccessor, incarnation: role.incarnation }, secretId)
    if (!await secretIds.create(accessor, record, nowMs)) {
      throw invalidRequest('failed to store secret_id: SecretID is already registered')
    }
    await refuseDeletedRole(call, role, accessor)
    return { accessor, record }
  }
}
