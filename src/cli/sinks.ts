import { realpath, rm } from 'node:fs/promises'
import path from 'node:path'
import type { Credentials } from './credentials.ts'
import { Failure } from './failure.ts'
import { sinkKinds } from './options.ts'
import type { Parts } from './parts.ts'
import { preparePrivateFolder, writePrivateFile } from './private-file.ts'

type Kind = (typeof sinkKinds)[number]

/** Files that hold what there is now, and nothing where there is nothing (SEC-328). */
export interface FileSinks {
  readonly isNone: boolean
  give (credentials: Credentials | null): void
  giveToken (token: string | null): void
  /** Makes the files what they should be, and answers whether they are; what failed is tried again at the next call. */
  settle (): Promise<boolean>
}

/**
 * Opens the sinks of these kinds in a folder. Names are fixed, so nothing that a broker says decides
 * where is written (SEC-333).
 *
 * @throws Failure `usage` for a folder that others may change.
 */
export async function openSinks (given: string | null, chosen: readonly string[], { screen }: Pick<Parts, 'screen'>): Promise<FileSinks> {
  const used = sinkKinds.filter((kind) => chosen.includes(kind))
  if ((given === null) !== (used.length === 0)) throw new Failure('usage', '--sink and --sink-folder go together')
  if (given !== null) await preparePrivateFolder(given)
  const folder = given === null ? '' : await realpath(given)
  /** null: no file. */
  const wanted = new Map<Kind, string | null>()
  const written = new Map<Kind, string | null>()
  let working: Promise<boolean> = Promise.resolve(true)
  let wasTold = false

  async function write (kind: Kind, text: string | null): Promise<void> {
    const file = path.join(folder, kind)
    if (text === null) await rm(file, { force: true })
    else await writePrivateFile(file, text)
    written.set(kind, text)
  }

  async function work (): Promise<boolean> {
    try {
      for (const [kind, text] of wanted) if (written.get(kind) !== text) await write(kind, text)
      wasTold = false
      return true
    } catch (error) {
      if (!wasTold) screen.say(`${error instanceof Failure ? error.message : 'a file could not be removed'}; it is tried again`)
      wasTold = true
      return false
    }
  }

  function settle (): Promise<boolean> {
    working = working.then(work)
    return working
  }

  function want (kind: Kind, text: string | null): void {
    if (!used.includes(kind)) return
    wanted.set(kind, text)
    void settle()
  }

  return {
    isNone: used.length === 0,
    give: (credentials) => want('credentials', credentials === null ? null : profileText(credentials)),
    giveToken: (token) => want('token', token),
    settle
  }
}

/** A shared credentials file of AWS's clients (docs.aws.amazon.com/cli, "Configuration and credential file settings"). */
function profileText ({ accessKeyId, secretAccessKey, sessionToken }: Credentials): string {
  return `[default]\naws_access_key_id = ${accessKeyId}\naws_secret_access_key = ${secretAccessKey}\naws_session_token = ${sessionToken}\n`
}
