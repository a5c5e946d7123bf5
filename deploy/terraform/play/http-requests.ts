import { at, textAt, type Body } from '../../../src/demo/client.ts'
import { has, type SendAs, type Tools } from './personas.ts'
import type { Persona } from './runs.ts'
import {
  adminSecretPath, mounts, policyOf, policyPath, rolePath, roles, roleSettings, rotation, rotationPath, scope,
  secretPaths, secretPathsPath
} from './wanted.ts'

/** What the configurations in `http` send: they look, and write by POST what differs. */
export function httpPersonas ({ must, workInAws }: Tools): Readonly<Record<Persona, SendAs>> {
  const settings: readonly (readonly [string, Body])[] = [
    ...roles.map((role) => [policyPath(role), { policy: policyOf(role) }] as const),
    ...roles.map((role) => [rolePath(role), roleSettings(role)] as const),
    [rotationPath, rotation],
    [secretPathsPath, secretPaths]
  ]

  async function logIn ({ role_id: roleId, secret_id: secretId }: Body): Promise<string> {
    const answer = await must('POST', 'auth/approle/login', { token: null, body: { role_id: roleId, secret_id: secretId } })
    return textAt(answer, 'auth', 'client_token')
  }

  return {
    async 'policy-admin' ({ token: given, admin_secret: adminSecret, new_mounts: newMounts, hand_out: handOut = [] }, writes) {
      const token = String(given)
      const looked = await Promise.all(Object.keys(mounts).map(async (mount) =>
        ({ mount, there: (await must('GET', `sys/mounts/${mount}`, { token }, [400])).status === 200 })))
      const held = await Promise.all(settings.map(async ([place, wanted]) =>
        ({ place, wanted, holds: has(await must('GET', place, { token }, [404]), wanted) })))
      const secret = await must('GET', adminSecretPath, { token }, [404])

      const missing = looked.filter(({ there }) => !there)
      const differing = held.filter(({ holds }) => !holds)
      const secretDiffers = !has(secret, { data: adminSecret })
      if (missing.length > 0 && newMounts !== true) throw new Error(`${missing[0]?.mount ?? ''} is not there, and new_mounts is not set`)
      const changes = missing.length > 0 || differing.length > 0 || secretDiffers
      if (!writes) return { changes, outputs: {} }

      await Promise.all(missing.map(({ mount }) => must('POST', `sys/mounts/${mount}`, {
        token, body: { type: 'kv', description: mounts[mount], options: { version: '2' } }
      })))
      await Promise.all(differing.map(({ place, wanted }) => must('POST', place, { token, body: wanted })))
      if (secretDiffers) await must('POST', adminSecretPath, { token, body: { data: adminSecret } })
      const handed = await Promise.all((handOut as string[]).map(async (role) => {
        const roleId = textAt(await must('GET', `${rolePath(role)}/role-id`, { token }), 'data', 'role_id')
        const wrapped = await must('POST', `${rolePath(role)}/secret-id`, { token, headers: { 'x-vault-wrap-ttl': '120s' } })
        return [role, { role_id: roleId, wrapping_token: textAt(wrapped, 'wrap_info', 'token') }] as const
      }))
      return { changes, outputs: { hand_over: Object.fromEntries(handed) } }
    },

    async manager ({ secret, ...login }, writes) {
      const token = await logIn(login)
      const name = textAt(await must('GET', `secret-paths/data/${scope}`, { token }), 'data', 'data', 'name')
      const held = await must('GET', `${name}/data/deploy`, { token }, [404])
      const changes = !has(held, { data: secret })
      if (changes && writes) {
        const cas = at(held.body, 'data', 'metadata', 'version') ?? 0
        await must('POST', `${name}/data/deploy`, { token, body: { data: secret, options: { cas } } })
      }
      return { changes, outputs: { secret_name: name } }
    },

    async operator ({ secret_name: given, ...login }) {
      const token = await logIn(login)
      const name = given ?? textAt(await must('GET', `sys/latchkey/resolve/${scope}`, { token }), 'data', 'name')
      const held = await must('GET', `${String(name)}/data/deploy`, { token })
      const keys = await must('GET', `aws/creds/${scope}`, { token })
      return {
        changes: false,
        outputs: { account: await workInAws(keys), secret_version: at(held.body, 'data', 'metadata', 'version') }
      }
    }
  }
}
