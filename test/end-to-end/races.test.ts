import t from 'tap'
import { authOf, createRole, startAws, startBroker, wrapOf, type Answer, type TestBroker } from '../helpers/broker.ts'
import { startRedis } from '../helpers/redis.ts'

type Act = () => Promise<Answer>

/** Runs acts side by side, each some times, and answers what went wrong on our side. */
async function race (acts: readonly Act[], times = 12): Promise<string[]> {
  const answers = await Promise.all(Array.from({ length: times }, () => acts).flat().map((act) => act()))
  return [...new Set(answers.filter(({ status }) => status >= 500).map(({ status, text }) => `${status} ${text}`))]
}

async function races (broker: TestBroker): Promise<Record<string, () => Promise<readonly Act[]>>> {
  const write = (target: string, body = {}) => () => broker.ask('POST', target, { body })
  const drop = (target: string) => () => broker.ask('DELETE', target)
  const read = (target: string) => () => broker.ask('GET', target)
  const role = await createRole(broker, 'raced', { token_policies: 'default' })
  const token = async (fields = {}) => authOf(await broker.must('POST', 'auth/token/create', { body: { policies: ['default'], ...fields } }))
  const policy = 'path "cubbyhole/x" { capabilities = ["read"] }'

  return {
    'renewals and a revocation of a token': async () => {
      const { client_token: own } = await token({ ttl: '1h' })
      const renew: Act = () => broker.ask('POST', 'auth/token/renew-self', { token: own, body: { increment: 60 } })
      return [renew, renew, write('auth/token/revoke', { token: own }), () => broker.ask('GET', 'auth/token/lookup-self', { token: own })]
    },
    'creations and revocations of a chosen token': async () => [
      write('auth/token/create', { id: 'raced-token', policies: ['default'] }), write('auth/token/revoke', { token: 'raced-token' }),
      () => broker.ask('GET', 'auth/token/lookup-self', { token: 'raced-token' })
    ],
    'writes and removals of a policy': async () => [
      write('sys/policies/acl/raced', { policy }), write('sys/policies/acl/raced', { policy: `${policy} ` }), drop('sys/policies/acl/raced'), read('sys/policies/acl/raced')
    ],
    'writes and removals of an AppRole role, its role_id and its secret_ids': async () => [
      write('auth/approle/role/other', { token_ttl: '1m' }), write('auth/approle/role/other', { token_ttl: '2m' }), drop('auth/approle/role/other'),
      write('auth/approle/role/other/role-id', { role_id: 'a-role-id-of-its-own' }), write('auth/approle/role/another', { role_id: 'a-role-id-of-its-own' }),
      drop('auth/approle/role/another'), write('auth/approle/role/other/secret-id'), write('auth/approle/role/other/custom-secret-id', { secret_id: 'a-chosen-secret-id-0123456789' })
    ],
    'logins with a secret_id that is destroyed, looked up and tidied': async () => {
      const { secretId, accessor } = await role.secretId({ num_uses: 3 })
      return [
        () => role.login(secretId), () => role.login(secretId), write('auth/approle/role/raced/secret-id/destroy', { secret_id: secretId }),
        write('auth/approle/role/raced/secret-id/lookup', { secret_id: secretId }), write('auth/approle/tidy/secret-id'),
        write(`auth/approle/role/raced/secret-id-accessor/lookup`, { secret_id_accessor: accessor })
      ]
    },
    'writes, removals and use of an AWS role': async () => [
      write('aws/roles/raced', { credential_type: 'assumed_role', role_arns: 'arn:aws:iam::444455556666:role/LatchkeyProvisioner', external_id: 'acme-5c1f7f0e-6f0b-4f5e-9d53-2f8a4a4f3b11' }),
      write('aws/roles/raced', { max_sts_ttl: '1h' }), drop('aws/roles/raced'), read('aws/creds/raced'), read('aws/roles/raced')
    ],
    'writes of a mount\'s configuration': async () => [
      write('aws/config/root', { max_retries: 1 }), write('aws/config/root', { max_retries: 2 }), read('aws/config/root'), read('aws/creds/ec2-only')
    ],
    'making, tuning, using and removing a mount': async () => [
      write('sys/mounts/raced', { type: 'aws' }), write('sys/mounts/raced/tune', { default_lease_ttl: '1h' }), drop('sys/mounts/raced'),
      read('raced/config/root'), write('raced/roles/x', { credential_type: 'assumed_role', role_arns: 'arn:aws:iam::444455556666:role/x' }), read('sys/mounts')
    ],
    'making, using and removing an auth mount': async () => [
      write('sys/auth/raced', { type: 'approle' }), drop('sys/auth/raced'), write('auth/raced/role/x', { token_policies: 'default' }),
      write('auth/raced/role/x/secret-id'), write('auth/raced/login', { role_id: 'x', secret_id: 'y' })
    ],
    'ends of one lease, and of its token': async () => {
      const { client_token: own } = await broker.tokenFor('path "aws/creds/ec2-only" { capabilities = ["read"] }')
      const { body } = await broker.must('GET', 'aws/creds/ec2-only', { token: own })
      const lease = { lease_id: body.lease_id ?? '' }
      return [
        write('sys/leases/revoke', lease), write('sys/leases/renew', lease), write('sys/leases/lookup', lease), write('auth/token/revoke', { token: own }),
        write('sys/leases/revoke-prefix/aws/creds/ec2-only'), () => broker.ask('GET', 'aws/creds/ec2-only', { token: own })
      ]
    },
    'readers of one wrapped answer, and its revocation': async () => {
      const wrap = wrapOf(await broker.must('POST', 'sys/wrapping/wrap', { body: { a: 1 }, headers: { 'x-vault-wrap-ttl': '60' } }))
      return [
        () => broker.ask('POST', 'sys/wrapping/unwrap', { token: wrap.token }), write('sys/wrapping/unwrap', { token: wrap.token }),
        write('sys/wrapping/rewrap', { token: wrap.token }), write('auth/token/revoke-accessor', { accessor: wrap.accessor })
      ]
    },
    'a cubbyhole whose token ends': async () => {
      const { client_token: own } = await token()
      const cubby = (method: string, body?: { a: number }): Act => () => broker.ask(method, 'cubbyhole/a', { token: own, ...(body && { body }) })
      return [cubby('PUT', { a: 1 }), cubby('PUT', { a: 2 }), cubby('GET'), cubby('DELETE'), write('auth/token/revoke', { token: own })]
    }
  }
}

for (const kind of ['SQLite', 'Redis'] as const) {
  t.test(`whatever races, nobody is told that the broker failed, on ${kind}`, async (t) => {
    const redis = kind === 'Redis' ? await startRedis(t) : null
    const broker = await startBroker(t, { emulator: await startAws(t), ...(redis !== null && { store: redis.url }) })
    for (const [what, prepare] of Object.entries(await races(broker))) {
      t.test(what, async (t) => {
        for (let round = 0; round < 3; round++) t.strictSame(await race(await prepare()), [])
      })
    }
    t.test('and it serves as before', async (t) => {
      t.equal((await broker.ask('GET', 'sys/mounts')).status, 200)
      t.notMatch(broker.output(), /"level":"fatal"/)
    })
  })
}
