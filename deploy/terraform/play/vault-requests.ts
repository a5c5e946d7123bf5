import { textAt, type Body } from '../../../src/demo/client.ts'
import { has, type SendAs, type Tools } from './personas.ts'
import type { Persona } from './runs.ts'
import {
  adminSecretPath, mounts, policyOf, policyPath, rolePath, roles, roleSettings, rotation, rotationPath, scope,
  secretIdTtlSeconds, secretPaths, secretPathsPath
} from './wanted.ts'

/** What terraform-provider-vault sends for the configurations in `vault`: it writes once, and reads each time. */
export function vaultPersonas (tools: Tools): Readonly<Record<Persona, SendAs>> {
  const { must, workInAws } = tools
  let wroteSecret = false

  /** What the provider does first, with a token of a login or one that it was given. */
  const begin = (token: string) => must('GET', 'auth/token/lookup-self', { token })

  async function logIn ({ role_id: roleId, secret_id: secretId }: Body): Promise<string> {
    const answer = await must('PUT', 'auth/approle/login', { token: null, body: { role_id: roleId, secret_id: secretId } })
    const token = textAt(answer, 'auth', 'client_token')
    await begin(token)
    return token
  }

  /** A write of `vault_kv_secret_v2`, whose stray `cas` means nothing. */
  const writeKv = (token: string, target: string, data: unknown) =>
    must('PUT', target, { token, body: { data, cas: 0, options: {} } })

  async function readKv (token: string, target: string): Promise<void> {
    await must('GET', target, { token })
    await must('GET', target.replace('/data/', '/metadata/'), { token })
  }

  return {
    'policy-admin': createPolicyAdmin(tools, { begin, writeKv, readKv }),

    async manager ({ secret, ...login }, writes) {
      const token = await logIn(login)
      const changes = !wroteSecret
      if (changes && writes) await writeKv(token, `${scope}/data/deploy`, secret)
      wroteSecret ||= writes
      if (wroteSecret) await readKv(token, `${scope}/data/deploy`)
      await must('GET', `sys/internal/ui/mounts/secret-paths/${scope}`, { token })
      const path = await must('GET', `secret-paths/data/${scope}`, { token })
      return { changes, outputs: { secret_name: textAt(path, 'data', 'data', 'name') } }
    },

    async operator ({ secret_name: given, ...login }) {
      const token = await logIn(login)
      const name = given ?? textAt(await must('GET', `sys/latchkey/resolve/${scope}`, { token }), 'data', 'name')
      await must('GET', `${String(name)}/data/deploy`, { token })
      const keys = await must('GET', `aws/creds/${scope}`, { token })
      return { changes: false, outputs: { account: await workInAws(keys) } }
    }
  }
}

interface ProviderHabits {
  readonly begin: (token: string) => Promise<unknown>
  readonly writeKv: (token: string, target: string, data: unknown) => Promise<unknown>
  readonly readKv: (token: string, target: string) => Promise<void>
}

type Handed = Readonly<Record<string, { readonly wrappingToken: string, readonly secretIdAccessor: string }>>

function createPolicyAdmin ({ must }: Tools, { begin, writeKv, readKv }: ProviderHabits): SendAs {
  let made: Handed | null = null

  async function create (token: string, adminSecret: unknown): Promise<Handed> {
    await must('GET', 'sys/seal-status', { token: null })
    for (const [mount, description] of Object.entries(mounts)) {
      await must('POST', `sys/mounts/${mount}`, { token, body: mountBody(description) })
    }
    await must('PUT', rotationPath, { token, body: rotation })
    await must('PUT', secretPathsPath, { token, body: secretPaths })
    await writeKv(token, adminSecretPath, adminSecret)
    return Object.fromEntries(await Promise.all(roles.map(async (role) => {
      await must('PUT', policyPath(role), { token, body: { policy: policyOf(role) } })
      await must('PUT', rolePath(role), {
        token, body: { ...roleSettings(role), bind_secret_id: true, local_secret_ids: false, token_type: 'default' }
      })
      const wrapped = await must('PUT', `${rolePath(role)}/secret-id`, {
        token, body: { metadata: '', ttl: secretIdTtlSeconds }, headers: { 'x-vault-wrap-ttl': '120s' }
      })
      return [role, {
        wrappingToken: textAt(wrapped, 'wrap_info', 'token'),
        secretIdAccessor: textAt(wrapped, 'wrap_info', 'wrapped_accessor')
      }] as const
    })))
  }

  /** Reads everything; answers the role_ids, and whether anything is not as it was written. */
  async function read (token: string, handed: Handed) {
    const same: boolean[] = []
    const look = async (target: string, wanted: Body) => { same.push(has(await must('GET', target, { token }, [400, 404]), wanted)) }
    for (const [mount, description] of Object.entries(mounts)) {
      await look(`sys/mounts/${mount}`, { type: 'kv', description, options: { version: '2' } })
    }
    await look(rotationPath, rotation)
    await look(secretPathsPath, secretPaths)
    await readKv(token, adminSecretPath)
    const roleIds = await Promise.all(roles.map(async (role) => {
      await look(policyPath(role), { policy: policyOf(role) })
      await look(rolePath(role), { ...roleSettings(role), bind_secret_id: true, local_secret_ids: false, token_type: 'default' })
      const found = await must('PUT', `${rolePath(role)}/secret-id-accessor/lookup`, {
        token, body: { secret_id_accessor: handed[role]?.secretIdAccessor }
      })
      same.push(has(found, { secret_id_ttl: secretIdTtlSeconds, secret_id_num_uses: 0 }))
      return [role, textAt(await must('GET', `${rolePath(role)}/role-id`, { token }), 'data', 'role_id')] as const
    }))
    return { roleIds, changes: same.includes(false) }
  }

  return async ({ token: given, admin_secret: adminSecret }, writes) => {
    const token = String(given)
    await begin(token)
    if (made === null && !writes) return { changes: true, outputs: {} }
    const handed = made ?? await create(token, adminSecret)
    made = handed
    const { roleIds, changes } = await read(token, handed)
    const handOver = roleIds.map(([role, roleId]) =>
      [role, { role_id: roleId, wrapping_token: handed[role]?.wrappingToken }] as const)
    return { changes, outputs: { hand_over: Object.fromEntries(handOver) } }
  }
}

const mountBody = (description: string): Body => ({
  type: 'kv',
  description,
  options: { version: '2' },
  config: { default_lease_ttl: '0s', max_lease_ttl: '0s', force_no_cache: false, options: null },
  local: false,
  seal_wrap: false,
  external_entropy_access: false
})
