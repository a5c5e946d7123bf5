import { execFile } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import t, { type Test } from 'tap'
import { startBench } from './helpers/start.ts'

interface Ended {
  readonly code: number
  readonly out: string
  readonly words: string
}

function run (program: string, args: readonly string[], { input = '', env = {} }: { input?: string, env?: Record<string, string> } = {}): Promise<Ended> {
  return new Promise((resolve) => {
    const child = execFile(program, args, { env: { PATH: process.env['PATH'], ...env }, timeout: 60_000 }, (error, out, words) =>
      resolve({ code: error === null ? 0 : 1, out, words }))
    child.stdin?.on('error', () => {}).end(input)
  })
}

/** The first of these that can run `args`, or null. Debian's own Python comes before others on the path. */
async function findProgram (candidates: readonly string[], args: readonly string[]): Promise<string | null> {
  for (const candidate of candidates) {
    if ((await run(candidate, args)).code === 0) return candidate
  }
  return null
}

t.setTimeout(120_000)
const python = await findProgram(['/usr/bin/python3', 'python3'], ['-c', 'import boto3'])
const aws = await findProgram(['/usr/bin/aws', 'aws'], ['--version'])

async function start (test: Test) {
  const bench = await startBench(test)
  const role = bench.emulator.identities.accounts[1]?.roles.find(({ name }) => name === 'LatchkeyProvisioner')
  const externalId = role?.externalIds[0]
  if (role === undefined || externalId === undefined) throw new Error('the example seed has changed')
  return { ...bench, keys: bench.keysOf('latchkey'), roleArn: role.arn, externalId }
}

t.test('boto3, unmodified', { skip: python === null && 'boto3 is not installed here' }, async (t) => {
  if (python === null) return
  const { emulator, keys, roleArn, externalId } = await start(t)
  const script = path.join(import.meta.dirname, 'boto3_calls.py')
  const input = JSON.stringify({ endpoint: emulator.endpoint, keys, roleArn, externalId })
  const { out, words } = await run(python, [script], { input })
  t.equal(words, '')
  const { lifeSeconds, ...results }: { lifeSeconds: number, [name: string]: unknown } = JSON.parse(out)
  t.ok(lifeSeconds > 880 && lifeSeconds <= 900, `lives ${lifeSeconds} s`)
  const session = 'arn:aws:sts::444455556666:assumed-role/LatchkeyProvisioner/run-1'
  const mismatch = /^The request signature we calculated does not match/
  t.match(results, {
    identity: 'arn:aws:iam::111122223333:user/latchkey',
    noExternalId: ['AccessDenied', 403, `User: arn:aws:iam::111122223333:user/latchkey is not authorized to perform: sts:AssumeRole on resource: ${roleArn}`],
    assumed: session,
    sessionIdentity: session,
    presigned: `<Arn>${session}</Arn>`,
    regions: true,
    vpcs: [true],
    instance: ['running', [['Name', 'one'], ['Stage', 'a&b']]],
    terminated: 'shutting-down',
    dryRun: [['DryRunOperation', 412, /./], ['DryRunOperation', 412, /./]],
    noInstance: ['InvalidInstanceID.NotFound', 400, 'The instance ID \'i-00000000000000000\' does not exist'],
    zones: ['acme.example.'],
    buckets: ['acme-state', 'acme-logs'],
    users: ['alice', 'bob'],
    trust: true,
    inline: true,
    summary: 2,
    noRole: ['NoSuchEntity', 404, 'The role with name absent cannot be found.'],
    badDocument: ['MalformedPolicyDocument', 400, /./],
    badSecret: {
      sts: ['SignatureDoesNotMatch', 403, mismatch],
      iam: ['SignatureDoesNotMatch', 403, mismatch],
      ec2: ['AuthFailure', 401, 'AWS was not able to validate the provided access credentials'],
      route53: ['SignatureDoesNotMatch', 403, mismatch],
      s3: ['SignatureDoesNotMatch', 403, mismatch]
    },
    skewed: { sts: ['SignatureDoesNotMatch', 403, /^Signature not yet current: /], ec2: ['RequestExpired', 400, 'Request has expired.'] },
    expired: {
      sts: ['ExpiredToken', 403, 'The security token included in the request is expired'],
      iam: ['ExpiredToken', 403, 'The security token included in the request is expired'],
      ec2: ['RequestExpired', 400, 'Request has expired.'],
      s3: ['ExpiredToken', 400, 'The provided token has expired.']
    }
  })
})

t.test('the AWS CLI, unmodified', { skip: aws === null && 'the AWS CLI is not installed here' }, async (t) => {
  if (aws === null) return
  const { emulator, keys, roleArn, externalId } = await start(t)
  const folder = await mkdtemp(path.join(tmpdir(), 'emulator-cli-'))
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  const env = {
    HOME: folder,
    AWS_ACCESS_KEY_ID: keys.accessKeyId,
    AWS_SECRET_ACCESS_KEY: keys.secretAccessKey,
    AWS_DEFAULT_REGION: 'eu-west-1',
    AWS_EC2_METADATA_DISABLED: 'true',
    AWS_PAGER: ''
  }
  const cli = (args: readonly string[], more: Record<string, string> = {}) =>
    run(aws, ['--endpoint-url', emulator.endpoint, '--output', 'json', ...args], { env: { ...env, ...more } })
  const named = ['sts', 'assume-role', '--role-arn', roleArn, '--role-session-name']
  const assumed = await cli([...named, 'run-2', '--external-id', externalId])
  t.equal(assumed.words, '')
  const { Credentials: made } = JSON.parse(assumed.out)
  const session = {
    AWS_ACCESS_KEY_ID: made.AccessKeyId,
    AWS_SECRET_ACCESS_KEY: made.SecretAccessKey,
    AWS_SESSION_TOKEN: made.SessionToken
  }
  t.match(JSON.parse((await cli(['sts', 'get-caller-identity'], session)).out), { Account: '444455556666' })
  t.match(JSON.parse((await cli(['iam', 'list-users'], session)).out), { Users: [{ UserName: 'alice' }, { UserName: 'bob' }] })
  t.match((await cli(['iam', 'list-users'])).words, /An error occurred \(AccessDenied\) when calling the ListUsers operation: User: arn:aws:iam::111122223333:user\/latchkey is not authorized to perform: iam:ListUsers/)
  t.match((await cli([...named, 'run 2'])).words, /\(ValidationError\).*1 validation error detected: Value 'run 2' at 'roleSessionName'/)
})
