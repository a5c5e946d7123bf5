import t from 'tap'
import type { Store } from '../../src/core/store.ts'
import { createRig, textAt } from './rig.ts'

t.test('nobody logs in through a mount that is being taken away or moved', async (t) => {
  const { app, ask, must } = await createRig(t)
  await must('write', 'auth/approle/role/r', { token_policies: ['default'] })
  const roleId = textAt(await must('read', 'auth/approle/role/r/role-id'), 'data', 'role_id')
  const secretId = textAt(await must('write', 'auth/approle/role/r/secret-id'), 'data', 'secret_id')
  const login = () => ask('write', 'auth/approle/login', { clientToken: null, data: { role_id: roleId, secret_id: secretId } })
  t.match(await login(), { code: 'ok' })
  const { accessor } = app.mounts.find('auth', 'approle') ?? {}
  for (const state of ['disabling', 'moving', 'live'] as const) {
    await app.mounts.update(accessor ?? '', (mount) => ({ ...mount, state }))
    t.match(await login(), state === 'live' ? { code: 'ok' } : { code: 'not_found', text: /tainted/ }, state)
  }
})

t.test('SEC-031 a write that is refused reads as much on a mount that is there as on one that is not', async (t) => {
  let reads = 0
  const counting = (store: Store): Store => ({
    ...store,
    async get (keys) {
      reads++
      return store.get(keys)
    }
  })
  const { ask, must } = await createRig(t, { wrap: counting })
  const token = textAt(await must('write', 'auth/token/create', { policies: ['default'] }), 'auth', 'client_token')
  const readsOf = async (path: string) => {
    reads = 0
    t.match(await ask('write', path, { clientToken: token }), { code: 'permission_denied' })
    return reads
  }
  t.equal(await readsOf('auth/approle/role/x'), await readsOf('auth/unknown/role/x'))
})

t.test('a token that may only create writes what is not there, and nothing twice', async (t) => {
  const { ask, must } = await createRig(t)
  await must('write', 'sys/policies/acl/once', { policy: 'path "auth/approle/role/*" { capabilities = ["create"] }' })
  const token = textAt(await must('write', 'auth/token/create', { policies: ['once'] }), 'auth', 'client_token')
  const write = () => ask('write', 'auth/approle/role/new', { clientToken: token })
  t.match(await write(), { code: 'ok' })
  t.match(await write(), { code: 'permission_denied' })
})

t.test('SEC-102 a bound token is refused from elsewhere, also by what looks at tokens itself', async (t) => {
  const { ask, must } = await createRig(t)
  await must('write', 'auth/token/roles/bound', { token_bound_cidrs: ['10.0.0.0/8'] })
  const clientToken = textAt(await must('write', 'auth/token/create/bound'), 'auth', 'client_token')
  for (const path of ['sys/internal/ui/mounts', 'auth/token/lookup-self']) {
    t.match(await ask('read', path, { clientToken, remoteAddress: '10.1.1.1' }), { code: 'ok' }, path)
    t.match(await ask('read', path, { clientToken, remoteAddress: '192.0.2.1' }), { code: 'permission_denied', text: 'permission denied' }, path)
  }
})
