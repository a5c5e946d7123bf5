import t from 'tap'
import { auditFaults, createRole, startBroker } from '../helpers/broker.ts'

t.test('mounts', async (t) => {
  const broker = await startBroker(t)
  const table = async () => Object.keys((await broker.must('GET', 'sys/mounts')).body.data ?? {}).sort()

  t.test('SEC-028 a mount neither hides another nor takes a name of the broker\'s, in any spelling', async (t) => {
    await broker.must('POST', 'sys/mounts/team/aws', { body: { type: 'aws' } })
    const before = await table()
    const names = ['team', 'team/aws/sub', 'team/aws', 'TEAM/AWS', 'auth', 'auth/x', 'sys', 'sys/x', 'SYS', 'cubbyhole', 'identity', 'audit', '..', 'a/../b', 'a%2fb', 'x'.repeat(300), 'a%00', 'a%20', '%C0%AF']
    for (const name of names) {
      const { status } = await broker.ask('POST', `sys/mounts/${name}`, { body: { type: 'aws' } })
      t.equal(status, 400, name.slice(0, 20))
    }
    for (const type of ['', 'system', 'token', 'cubbyhole', 'approle', '../aws', '__proto__', 'exec', 'plugin']) {
      t.equal((await broker.ask('POST', 'sys/mounts/other', { body: { type } })).status, 400, type)
    }
    t.strictSame(await table(), before)
  })

  t.test('the mounts that the broker needs cannot be taken away', async (t) => {
    for (const name of ['sys', 'cubbyhole', 'sys/']) t.equal((await broker.ask('DELETE', `sys/mounts/${name}`)).status, 400, name)
    t.equal((await broker.ask('DELETE', 'sys/auth/token')).status, 400)
    t.equal((await broker.ask('POST', 'sys/auth/other', { body: { type: 'token' } })).status, 400)
    t.equal((await broker.ask('DELETE', 'sys/mounts/nothing-here')).status, 204)
  })

  t.test('SEC-029 a path that is used again leads to nothing of its former life: roles, secret_ids, rights of tokens', async (t) => {
    await broker.must('POST', 'sys/auth/again', { body: { type: 'approle' } })
    await broker.must('POST', 'auth/again/role/r', { body: { token_policies: 'default' } })
    const roleId = (await broker.must('GET', 'auth/again/role/r/role-id')).body.data?.['role_id']
    const secretId = (await broker.must('POST', 'auth/again/role/r/secret-id')).body.data?.['secret_id']
    const pair = { token: null, body: { role_id: String(roleId), secret_id: String(secretId) } }
    const login = await broker.must('POST', 'auth/again/login', pair)
    const token = login.body.auth?.client_token ?? ''
    await broker.must('DELETE', 'sys/auth/again')
    t.ok([403, 404].includes((await broker.ask('POST', 'auth/again/login', pair)).status))
    t.equal((await broker.ask('GET', 'auth/token/lookup-self', { token })).status, 403, 'its tokens ended with it')
    await broker.must('POST', 'sys/auth/again', { body: { type: 'approle' } })
    await broker.must('POST', 'auth/again/role/r', { body: { token_policies: 'default' } })
    await broker.must('POST', 'auth/again/role/r/role-id', { body: { role_id: String(roleId) } })
    t.equal((await broker.ask('POST', 'auth/again/login', pair)).text, '{"errors":["invalid role or secret ID"]}')
    t.equal((await broker.ask('LIST', 'auth/again/role/r/secret-id')).status, 404)
  })

  t.test('SEC-055 two mounts of one kind know nothing of each other', async (t) => {
    await broker.must('POST', 'sys/auth/second', { body: { type: 'approle' } })
    const role = await createRole(broker, 'twin', { token_policies: 'default' })
    const { secretId, accessor } = await role.secretId()
    await broker.must('POST', 'auth/second/role/twin', { body: {} })
    await broker.must('POST', 'auth/second/role/twin/role-id', { body: { role_id: role.roleId } })
    const elsewhere = await broker.ask('POST', 'auth/second/login', { token: null, body: { role_id: role.roleId, secret_id: secretId } })
    t.equal(elsewhere.status, 400)
    t.equal((await broker.ask('POST', 'auth/second/role/twin/secret-id-accessor/lookup', { body: { secret_id_accessor: accessor } })).status, 404)
    t.equal((await role.login(secretId)).status, 200)
  })

  t.test('SEC-099 tuning gives no mount an endless or a longer life than the broker allows', async (t) => {
    for (const fields of [{ default_lease_ttl: '-1' }, { max_lease_ttl: '1d1d' }, { default_lease_ttl: [1] }, { max_lease_ttl: 'NaN' }, { default_lease_ttl: '2h', max_lease_ttl: '1h' }]) {
      t.equal((await broker.ask('POST', 'sys/mounts/team/aws/tune', { body: fields as never })).status, 400, JSON.stringify(fields))
    }
    const { body } = await broker.must('GET', 'sys/mounts/team/aws/tune')
    t.match(body.data, { default_lease_ttl: 2_764_800, max_lease_ttl: 2_764_800 })
  })

  t.test('SEC-245 moving a mount needs sudo', async (t) => {
    const { client_token: token } = await broker.tokenFor('path "sys/remount" { capabilities = ["update"] }\npath "sys/mounts/*" { capabilities = ["update"] }')
    const before = await table()
    t.equal((await broker.ask('POST', 'sys/remount', { token, body: { from: 'team/aws', to: 'b' } })).status, 403)
    t.strictSame(await table(), before)
  })

  t.test('SEC-238 without a token only mounts that say so are shown, and none of their settings', async (t) => {
    const shown = await broker.must('GET', 'sys/internal/ui/mounts', { token: null })
    t.strictSame(shown.body.data, { secret: {}, auth: {} })
    await broker.must('POST', 'sys/auth/second/tune', { body: { listing_visibility: 'unauth' } })
    const after = await broker.must('GET', 'sys/internal/ui/mounts', { token: null })
    t.strictSame(Object.keys((after.body.data?.['auth'] ?? {})), ['second/'])
    t.notMatch(after.text, /accessor|uuid|lease_ttl/)
    t.equal((await broker.ask('GET', 'sys/internal/ui/mounts', { token: 'wrong' })).status, 403)
    t.equal((await broker.ask('GET', 'sys/internal/ui/mounts/second/x', { token: null })).status, 403)
  })

  t.test('SEC-246 SEC-237 nothing of the API runs, loads or shows what is the machine\'s', async (t) => {
    for (const target of ['sys/plugins/catalog/secret/x', 'sys/plugins/reload/backend', 'sys/config/state/sanitized', 'sys/config/reload/all', 'sys/internal/specs/openapi', 'sys/pprof/heap', 'sys/host-info', 'sys/in-flight-req', 'sys/license/status', 'sys/storage/raft/snapshot', 'sys/raw/x', 'sys/monitor', 'sys/internal/inspect/router/root']) {
      t.equal((await broker.ask('GET', target)).status, 404, target)
    }
  })

  t.test('SEC-258 every request has its two audit entries', async (t) => {
    t.strictSame(auditFaults(broker), [])
  })
})
