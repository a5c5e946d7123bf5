import type { Invocation } from './args.ts'
import { cachedCredentials } from './cache.ts'
import { expirationText, fetchCredentials, readWanted, revokeLease, type Credentials } from './credentials.ts'
import { shellText, type Variables } from './environment.ts'
import { Failure } from './failure.ts'
import { giveToJob, readJobFile } from './github.ts'
import { withToken } from './kept-token.ts'
import type { Parts } from './parts.ts'
import { openBroker } from './session.ts'
import { sayWrongClock } from './skew.ts'

/** Forms that a program reads again and again: credentials are kept for its next call. */
const keptForms: ReadonlySet<string> = new Set(['terragrunt', 'atlantis'])

/** What of `credentialVariables` nobody may see. */
const secretNames: ReadonlySet<string> = new Set(['AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY', 'AWS_SESSION_TOKEN'])

/** `latchkey aws`: credentials in the form that somebody reads. */
export async function runAws (invocation: Invocation, parts: Parts): Promise<void> {
  const wanted = readWanted(invocation, invocation.operands[0] ?? '')
  const form = invocation.text('format') ?? 'json'
  const region = readRegion(invocation)
  if (form === 'github') readJobFile(parts)
  const broker = await openBroker(invocation, parts)
  if (keptForms.has(form)) {
    const screen = form === 'atlantis' ? { ...parts.screen, say: () => {} } : parts.screen
    const credentials = await cachedCredentials(invocation, { ...parts, screen }, broker, wanted)
    sayWrongClock(broker.client, screen)
    return parts.screen.out(form === 'terragrunt' ? terragruntText(credentials, region) : atlantisText(credentials, region))
  }
  await withToken(invocation, parts, broker.client, async (token) => {
    const credentials = await fetchCredentials(broker, token, wanted, parts)
    sayWrongClock(broker.client, parts.screen)
    try {
      await show(credentials)
    } catch (error) {
      await revokeLease(broker, token, credentials.leaseId)
      throw error
    }
  })

  async function show (credentials: Credentials): Promise<void> {
    const variables = [...credentialVariables(credentials), ...regionVariables(region)]
    if (form === 'github') return giveToJob(variables, secretNames, parts)
    const expiration = expirationText(credentials.end, parts)
    return parts.screen.out(form === 'env'
      ? shellText([...variables, ['AWS_CREDENTIAL_EXPIRATION', expiration]])
      : `${JSON.stringify({ ...staticKeys(credentials), Expiration: expiration, LeaseId: credentials.leaseId }, null, 2)}\n`)
  }
}

/** `latchkey credential-process`: for `credential_process` in a profile of AWS's clients; nothing else on standard output. */
export async function runCredentialProcess (invocation: Invocation, parts: Parts): Promise<void> {
  const wanted = readWanted(invocation, invocation.operands[0] ?? '')
  const broker = await openBroker(invocation, parts)
  const credentials = await cachedCredentials(invocation, parts, broker, wanted)
  sayWrongClock(broker.client, parts.screen)
  await parts.screen.out(`${JSON.stringify({ Version: 1, ...staticKeys(credentials), Expiration: expirationText(credentials.end, parts) })}\n`)
}

function staticKeys ({ accessKeyId, secretAccessKey, sessionToken }: Credentials) {
  return { AccessKeyId: accessKeyId, SecretAccessKey: secretAccessKey, SessionToken: sessionToken }
}

/** Credentials as AWS's clients read them from the environment. */
export function credentialVariables ({ accessKeyId, secretAccessKey, sessionToken }: Credentials): Variables {
  return [['AWS_ACCESS_KEY_ID', accessKeyId], ['AWS_SECRET_ACCESS_KEY', secretAccessKey], ['AWS_SESSION_TOKEN', sessionToken]]
}

/** A region as AWS's clients read it; some know one name and some the other. */
export function regionVariables (region: string | null): Variables {
  return region === null ? [] : [['AWS_REGION', region], ['AWS_DEFAULT_REGION', region]]
}

/** @throws Failure `usage` for what is no name of a region. */
export function readRegion (invocation: Invocation): string | null {
  const region = invocation.text('region')
  if (region !== null && !/^[a-z0-9-]{1,40}$/.test(region)) throw new Failure('usage', 'what is given as a region is none')
  return region
}

/** For `--auth-provider-cmd` of Terragrunt. */
function terragruntText ({ accessKeyId, secretAccessKey, sessionToken }: Credentials, region: string | null): string {
  return `${JSON.stringify({
    awsCredentials: { ACCESS_KEY_ID: accessKeyId, SECRET_ACCESS_KEY: secretAccessKey, SESSION_TOKEN: sessionToken },
    envs: Object.fromEntries(regionVariables(region))
  })}\n`
}

/** For a `multienv` step of Atlantis: one line, which standard error would become a part of, so nothing is said. What it could not read it would print, so such a value is never written. */
function atlantisText (credentials: Credentials, region: string | null): string {
  const variables = [...credentialVariables(credentials), ...regionVariables(region)]
  if (variables.some(([, value]) => !/^[\w+/=.-]+$/.test(value))) {
    throw new Failure('failed', 'the credentials hold characters that Atlantis cannot read')
  }
  return `${variables.map((pair) => pair.join('=')).join(',')}\n`
}
