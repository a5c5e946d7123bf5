import type { Call } from '../../core/backend.ts'
import { invalidRequest } from '../../core/errors.ts'
import { drawUuid } from '../../core/ids.ts'
import { applyRoleInput, type RoleInput } from './role-input.ts'
import { createRoleStore, parseRoleName, type Mac } from './role-store.ts'
import { newRole, type Role } from './role.ts'
import type { Removal } from './removal.ts'
import { newSecretId, type SecretIdTerms } from './secret-id.ts'
import type { Made, MakeSecretId, Maker } from './secret-id-maker.ts'

/** Which role: an owner draws its incarnation, so that it can be told from any other that has, or had, its name. */
export interface OwnedRole {
  readonly name: string
  readonly incarnation: string
}

/** A secret_id as it is handed out, this once. */
export interface OwnedSecretId extends Made {
  readonly secretId: string
}

/**
 * Roles that a part of the broker keeps for itself. They are made and used as any other by those who
 * may; what its owner ends is only what its owner made, with all tokens that came of it.
 */
export interface OwnedRoles {
  /** Judges a role and its first secret_id before they are made. Answers warnings. @throws BrokerError `invalid_request` */
  judge (at: Maker, name: string, input: RoleInput, secretId: SecretIdTerms): Promise<readonly string[]>
  /** Answers the role_id. @throws BrokerError `invalid_request` where somebody else's role has the name */
  make (at: Maker, role: OwnedRole, input: RoleInput): Promise<string>
  /** null where the role is not there, or another one is. */
  findRoleId (at: Pick<Call, 'store' | 'mount'>, role: OwnedRole): Promise<string | null>
  /** @throws BrokerError where the role is not there, and with the contract's sentences */
  makeSecretId (at: Maker, role: OwnedRole, terms: SecretIdTerms): Promise<OwnedSecretId>
  /** Has nobody log in with the role any more. Repeatable, and harmless to a later role of the same name. */
  end (at: Pick<Call, 'store' | 'mount' | 'nowMs'>, role: OwnedRole): Promise<void>
}

export function createOwnedRoles (
  { mac, makeSecretId, endRole }: { mac: Mac, makeSecretId: MakeSecretId, endRole: Removal['endRole'] }
): OwnedRoles {
  const rolesAt = ({ store, mount }: Pick<Call, 'store' | 'mount'>) => createRoleStore(store, mac, mount.accessor)

  async function find (at: Pick<Call, 'store' | 'mount'>, { name, incarnation }: OwnedRole): Promise<Role | null> {
    const role = await rolesAt(at).find(name)
    return role?.incarnation === incarnation ? role : null
  }

  function draft ({ name, incarnation }: OwnedRole, input: RoleInput, { ttlBounds }: Maker) {
    const drawn = newRole({ name: parseRoleName(name), incarnation, roleId: drawUuid() })
    return applyRoleInput({ ...drawn, groupsTokens: true }, input, ttlBounds)
  }

  return {
    async judge (at, name, input, secretId) {
      const { role, warnings } = draft({ name, incarnation: '' }, input, at)
      const { mount, nowMs, ttlBounds: { ttlSecondsMax } } = at
      newSecretId(role, secretId, { mountAccessor: mount.accessor, nowMs, ttlSecondsMax })
      if (await rolesAt(at).find(name) !== null) throw roleExists(name)
      return warnings
    },
    async make (at, owned, input) {
      const { role } = draft(owned, input, at)
      await rolesAt(at).change(owned.name, (former) => {
        if (former !== null) throw roleExists(owned.name)
        return role
      })
      return role.roleId
    },
    async findRoleId (at, owned) {
      return (await find(at, owned))?.roleId ?? null
    },
    async makeSecretId (at, owned, terms) {
      const role = await find(at, owned)
      if (role === null) throw invalidRequest(`role ${JSON.stringify(owned.name)} does not exist`)
      const secretId = drawUuid()
      return { secretId, ...await makeSecretId(at, role, secretId, terms) }
    },
    end: ({ store, mount, nowMs }, { name, incarnation }) => endRole({ store, mount, nowMs }, name, incarnation)
  }
}

function roleExists (name: string) {
  return invalidRequest(`a role ${JSON.stringify(name)} exists already`)
}
