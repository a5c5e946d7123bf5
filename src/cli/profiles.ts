import { readFile } from 'node:fs/promises'
import path from 'node:path'
import type { Parts } from './parts.ts'

/** Settings of a profile that give credentials; AWS's clients look there before they ask a sidecar. */
const sources = /^(?:aws_access_key_id|credential_process|credential_source|role_arn|web_identity_token_file|sso_\w+|login_session)$/

/** Tells where the default profile has credentials, which AWS's clients take in place of a sidecar's. */
export async function sayHidingProfile ({ env, screen }: Pick<Parts, 'env' | 'screen'>): Promise<void> {
  const folder = path.join(env['HOME'] ?? '', '.aws')
  const files = [
    ['AWS_SHARED_CREDENTIALS_FILE', env['AWS_SHARED_CREDENTIALS_FILE'] || path.join(folder, 'credentials')],
    ['AWS_CONFIG_FILE', env['AWS_CONFIG_FILE'] || path.join(folder, 'config')]
  ] as const
  for (const [variable, file] of files) {
    const text = await readFile(file, 'utf8').catch(() => '')
    if (!givesCredentials(text)) continue
    screen.say(`the profile [default] of ${file} has credentials, which AWS's clients take before these: ${variable}=/dev/null hides that file`)
  }
}

function givesCredentials (text: string): boolean {
  let isDefault = false
  for (const line of text.split('\n')) {
    const section = /^\s*\[\s*(.*?)\s*\]/.exec(line)?.[1]
    if (section !== undefined) isDefault = section === 'default' || section === 'profile default'
    else if (isDefault && sources.test(/^\s*([^=\s]+)\s*=/.exec(line)?.[1]?.toLowerCase() ?? '')) return true
  }
  return false
}
