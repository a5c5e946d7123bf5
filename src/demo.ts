import { at, callAws, send, textAt, type Body } from './demo/client.ts'
import { startOwnBroker, type OwnBroker } from './demo/own-broker.ts'
import { createSteps } from './demo/steps.ts'

/**
 * Plays a CI run against a broker: logs in, fetches credentials of `ec2-only`, uses them, revokes
 * them, logs out. Uses the broker at LATCHKEY_LISTEN where LATCHKEY_DEV_ROOT_TOKEN is the root token
 * of one that runs there; else starts one of its own, in a folder that is removed.
 */
const { step, wrong } = createSteps()

const running = await findRunning()
if (running !== null) {
  process.stdout.write(`Using the broker at ${running.address}.\n\n`)
  await play(running)
} else {
  const broker = await startOwnBroker()
  process.stdout.write(`Started a broker for the demo at ${broker.address}.\n\n`)
  try {
    await play(broker)
  } finally {
    const code = await broker.stop()
    step('the broker stops when told to', code === 0, `exit code ${String(code)}`)
  }
}
process.stdout.write(wrong() === 0 ? '\nThe demo went as it should.\n' : `\n${wrong()} step(s) went wrong.\n`)
process.exit(wrong() === 0 ? 0 : 1)

async function play ({ address, rootToken }: Pick<OwnBroker, 'address' | 'rootToken'>): Promise<void> {
  const ask = (method: string, target: string, token: string | null, body?: Body) =>
    send(address, method, { target, token, body })
  const emulator = textAt(await ask('GET', 'aws/config/root', rootToken), 'data', 'sts_endpoint')
  const roleId = textAt(await ask('GET', 'auth/approle/role/ci/role-id', rootToken), 'data', 'role_id')
  const metadata = '{"run_id":"demo-42"}'
  const made = await ask('POST', 'auth/approle/role/ci/secret-id', rootToken, { ttl: '5m', metadata })
  const secretId = textAt(made, 'data', 'secret_id')

  const login = await ask('POST', 'auth/approle/login', null, { role_id: roleId, secret_id: secretId })
  const token = textAt(login, 'auth', 'client_token')
  step('log in with role_id and secret_id', login.status === 200 && token !== '', `policies ${JSON.stringify(at(login.body, 'auth', 'policies'))}`)

  const vend = await ask('GET', 'aws/creds/ec2-only', token)
  const leaseId = String(vend.body['lease_id'])
  const keys = {
    accessKeyId: textAt(vend, 'data', 'access_key'),
    secretAccessKey: textAt(vend, 'data', 'secret_key'),
    sessionToken: textAt(vend, 'data', 'security_token')
  }
  step('fetch credentials of ec2-only', vend.status === 200, `${keys.accessKeyId}, lease ${leaseId}, ${String(vend.body['lease_duration'])} s`)

  const call = (service: string, form: string) => callAws(emulator, service, form, keys)
  const identity = await call('sts', 'Action=GetCallerIdentity&Version=2011-06-15')
  const arn = /<Arn>([^<]+)<\/Arn>/.exec(identity.text)?.[1] ?? ''
  step('GetCallerIdentity names the role and the run', identity.status === 200 && arn.includes('/demo-42.'), arn)

  const regions = await call('ec2', 'Action=DescribeRegions&Version=2016-11-15')
  step('an EC2 call is allowed', regions.status === 200, `DescribeRegions answers ${regions.status}`)
  const users = await call('iam', 'Action=ListUsers&Version=2010-05-08')
  step('an IAM call is refused', users.status === 403 && users.text.includes('AccessDenied'), `ListUsers answers ${users.status}`)

  const lease = await ask('PUT', 'sys/leases/lookup', token, { lease_id: leaseId })
  step('the lease is known', lease.status === 200, `${String(at(lease.body, 'data', 'ttl'))} s left`)
  const revoked = await ask('PUT', 'sys/leases/revoke', token, { lease_id: leaseId })
  step('revoke the lease', revoked.status === 204, `the session itself dies at ${revoked.headers.get('x-latchkey-session-dies-at') ?? 'an unknown time'}`)
  const gone = await ask('PUT', 'sys/leases/lookup', token, { lease_id: leaseId })
  step('the lease is gone', gone.status === 400, JSON.stringify(gone.body['errors']))

  const logout = await ask('POST', 'auth/token/revoke-self', token)
  const refused = await ask('GET', 'auth/token/lookup-self', token)
  step('log out, after which the token is refused', logout.status === 204 && refused.status === 403, `${logout.status}, then ${refused.status}`)
}

async function findRunning (): Promise<Pick<OwnBroker, 'address' | 'rootToken'> | null> {
  const rootToken = process.env['LATCHKEY_DEV_ROOT_TOKEN'] ?? ''
  const address = `http://${process.env['LATCHKEY_LISTEN'] ?? '127.0.0.1:8200'}`
  if (rootToken === '') return null
  const found = await send(address, 'GET', { target: 'auth/token/lookup-self', token: rootToken }).catch(() => null)
  return found?.status === 200 ? { address, rootToken } : null
}
