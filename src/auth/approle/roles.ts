import { operation, type Operation } from '../../core/backend.ts'
import { invalidRequest, notFound, unsupportedPath } from '../../core/errors.ts'
import { int, strictText, text } from '../../core/fields.ts'
import { drawUuid } from '../../core/ids.ts'
import { applyRoleInput, checkRoleId, roleFields, type Applied } from './role-input.ts'
import { createRoleStore, parseRoleName, type Mac } from './role-store.ts'
import { newRole, roleData, type Role } from './role.ts'
import type { RoleRemover } from './removal.ts'

const { name } = roleFields
const page = {
  after: text('Names after this one'),
  limit: int('Most names to answer; all where it is not above 0')
}

/** `role`, `role/<name>` and `role/<name>/role-id` (contract 2.2). */
export function createRoleOperations ({ mac, removeRole }: { mac: Mac, removeRole: RoleRemover }): Operation[] {
  return [
    operation({
      verb: 'list',
      path: 'role',
      access: 'capability',
      summary: 'Lists the roles.',
      fields: page,
      async run ({ store, mount }, { after, limit }) {
        const keys = await createRoleStore(store, mac, mount.accessor).list({ after, limit })
        return { kind: 'data', data: { keys } }
      }
    }),
    operation({
      verb: 'read',
      path: 'role/:name',
      access: 'capability',
      summary: 'Reads a role.',
      fields: { name },
      async run ({ store, mount }, input) {
        const role = await createRoleStore(store, mac, mount.accessor).find(parseRoleName(input.name))
        if (role === null) throw notFound()
        return { kind: 'data', data: roleData(role) }
      }
    }),
    operation({
      verb: 'write',
      path: 'role/:name',
      access: 'capability',
      summary: 'Creates a role, or changes the parameters that are given.',
      fields: roleFields,
      bareFieldErrors: true,
      async exists ({ store, mount }, input) {
        const roleName = roleNameOrNull(input.name)
        return roleName !== null && await createRoleStore(store, mac, mount.accessor).find(roleName) !== null
      },
      async run ({ store, mount, ttlBounds }, input) {
        const roleName = parseRoleName(input.name)
        let warnings: Applied['warnings'] = []
        await createRoleStore(store, mac, mount.accessor).change(roleName, (former) => {
          const isLocal = localSecretIds(former, input.local_secret_ids)
          const base = { ...former ?? drawRole(roleName), localSecretIds: isLocal }
          const applied = applyRoleInput(base, input, ttlBounds)
          warnings = applied.warnings
          return applied.role
        })
        return { kind: 'none', warnings }
      }
    }),
    operation({
      verb: 'delete',
      path: 'role/:name',
      access: 'capability',
      summary: 'Deletes a role with its secret_ids. Tokens live on.',
      fields: { name },
      async run (call, input) {
        await removeRole(call, parseRoleName(input.name))
        return { kind: 'none' }
      }
    }),
    operation({
      verb: 'read',
      path: 'role/:name/role-id',
      access: 'capability',
      summary: 'Reads the role_id of a role.',
      fields: { name },
      async run ({ store, mount }, input) {
        const role = await createRoleStore(store, mac, mount.accessor).find(parseRoleName(input.name))
        if (role === null) throw notFound()
        return { kind: 'data', data: { role_id: role.roleId } }
      }
    }),
    operation({
      verb: 'write',
      path: 'role/:name/role-id',
      access: 'capability',
      summary: 'Sets the role_id of a role.',
      fields: { name, role_id: strictText('The role_id to use from now on') },
      async run ({ store, mount }, input) {
        const roles = createRoleStore(store, mac, mount.accessor)
        await roles.change(parseRoleName(input.name), (role) => {
          if (role === null) throw unsupportedPath()
          if (input.role_id === undefined || input.role_id === '') throw invalidRequest('missing role_id')
          return { ...role, roleId: checkRoleId(input.role_id) }
        })
        return { kind: 'none' }
      }
    })
  ]
}

/** For the existence check, which must not refuse before the caller's rights were judged. */
function roleNameOrNull (raw: string | undefined): string | null {
  try {
    return parseRoleName(raw)
  } catch {
    return null
  }
}

function drawRole (name: string): Role {
  return newRole({ name, incarnation: drawUuid(), roleId: drawUuid() })
}

function localSecretIds (former: Role | null, asked: boolean | undefined): boolean {
  if (former === null) return asked ?? false
  if (asked !== undefined && asked !== former.localSecretIds) {
    throw invalidRequest('local_secret_ids can only be modified during role creation')
  }
  return former.localSecretIds
}
