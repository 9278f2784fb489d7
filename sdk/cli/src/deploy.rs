//! Deploy a built contract, or find that it is deployed already.

use kumiki_client::abi::{Abi, ArgumentText};
use kumiki_client::{Client, ClientError, Draft};
use kumiki_protocol::{Action, Address, Amount, Gas, Hash, Nonce, SecretKey, sha3_256};
use kumiki_rpc_api::{ErrorCode, ReceiptStatus, TransactionReceipt};

use crate::commands::call::example_arguments;
use crate::explain::value_failure;
use crate::failure::{Exit, Failure, Outcome};
use crate::project::Project;
use crate::render::execution_failure;
use crate::said::{Said, Sources};

const SALT_DOMAIN: &[u8] = b"kumiki/cli/salt/v1/";

/// A contract to deploy.
pub(crate) struct DeployRequest<'a> {
    /// Where its source lies, if it is at hand.
    pub(crate) project: Option<&'a Project>,
    pub(crate) name: &'a str,
    pub(crate) wasm: &'a [u8],
    pub(crate) abi: &'a Abi,
    /// Arguments of `init`, names of accounts resolved.
    pub(crate) arguments: &'a [ArgumentText],
    /// Tells instances of the same code apart.
    pub(crate) salt: &'a str,
    pub(crate) immutable: bool,
    pub(crate) value: Amount,
    pub(crate) gas: Option<Gas>,
    pub(crate) gas_price: Option<u64>,
    pub(crate) nonce: Option<Nonce>,
}

/// A contract on the chain.
pub(crate) struct Deployed {
    pub(crate) address: Address,
    pub(crate) code_hash: Hash,
    /// What the deployment came to; `None` when the contract was there already.
    pub(crate) receipt: Option<TransactionReceipt>,
}

impl DeployRequest<'_> {
    /// Deploys it from `key`'s account. The address follows from account, salt and code, so doing it again finds the
    /// contract that is there.
    pub(crate) async fn send(&self, client: &Client, key: &SecretKey) -> Outcome<Deployed> {
        // Wrong arguments are wrong, also where nothing is left to do.
        let input = self.input()?;
        let code_hash = sha3_256(&[self.wasm]);
        let deployer = Address::of_account(&key.public_key());
        let salt = sha3_256(&[
            SALT_DOMAIN,
            self.name.as_bytes(),
            b"/",
            self.salt.as_bytes(),
        ])
        .0;
        let address = Address::of_contract(&deployer, &salt, &code_hash);
        if let Some(admin) = admin_of(client, address).await? {
            self.check_admin(admin)?;
            return Ok(Deployed {
                address,
                code_hash,
                receipt: None,
            });
        }
        let action = Action::Deploy {
            code: self.wasm.to_vec(),
            salt,
            input,
            value: self.value,
            admin: (!self.immutable).then_some(deployer),
        };
        let receipt = self.send_action(client, key, action).await?;
        Ok(Deployed {
            address,
            code_hash,
            receipt: Some(receipt),
        })
    }

    /// Gives the contract at `address` this code, keeping its state; the new code's `migrate` takes over.
    pub(crate) async fn upgrade(
        &self,
        client: &Client,
        key: &SecretKey,
        address: Address,
    ) -> Outcome<Deployed> {
        let action = Action::Upgrade {
            contract: address,
            code: self.wasm.to_vec(),
            input: Vec::new(),
        };
        let receipt = self.send_action(client, key, action).await?;
        Ok(Deployed {
            address,
            code_hash: sha3_256(&[self.wasm]),
            receipt: Some(receipt),
        })
    }

    /// Nobody is told that a contract is immutable when it is not.
    fn check_admin(&self, admin: Option<Address>) -> Outcome<()> {
        match admin {
            Some(admin) if self.immutable => Err(Failure::new(
                Exit::Refused,
                "contractExists",
                "this contract is there already, and it can be upgraded",
            )
            .at(format!("deployment of '{}'", self.name))
            .expected("an immutable contract")
            .found(format!("the admin {admin}"))
            .next(format!(
                "kumiki deploy {} --immutable --salt fixed",
                self.name
            ))),
            _ => Ok(()),
        }
    }

    async fn send_action(
        &self,
        client: &Client,
        key: &SecretKey,
        action: Action,
    ) -> Outcome<TransactionReceipt> {
        let mut draft = Draft::new(vec![action]);
        draft.gas_limit = self.gas;
        draft.gas_price = self.gas_price;
        draft.nonce = self.nonce;
        let prepared = client.prepare(&draft, &key.public_key()).await?;
        let simulated = &prepared.simulation;
        if let Some(failure) = &simulated.receipt.failure {
            let paid = "nothing was deployed, nothing is paid";
            let said =
                Sources::new(self.project, &client.genesis_hash()).explain(&simulated.diagnostics);
            return Err(self.explain(execution_failure(failure, said, None, paid)));
        }
        let receipt = client.send(prepared.body, key).await?;
        match (&receipt.receipt.status, &receipt.receipt.failure) {
            (ReceiptStatus::Ok, _) | (_, None) => Ok(receipt),
            (_, Some(failure)) => {
                let paid = format!(
                    "nothing was deployed, the fee {} is paid",
                    receipt.receipt.fee
                );
                Err(self.explain(execution_failure(failure, Said::default(), None, &paid)))
            }
        }
    }

    fn explain(&self, failure: Failure) -> Failure {
        failure
            .at(format!("deployment of '{}'", self.name))
            .next(format!("kumiki build {}", self.name))
    }

    fn input(&self) -> Outcome<Vec<u8>> {
        let Some(init) = &self.abi.metadata().init else {
            return match self.arguments.first() {
                None => Ok(Vec::new()),
                Some(one) => Err(Failure::new(
                    Exit::Usage,
                    "arguments",
                    format!(
                        "contract '{}' has no init, so it takes no arguments",
                        self.name
                    ),
                )
                .found(format!("{}={}", one.name, one.text))
                .next(format!("kumiki deploy {}", self.name))),
            };
        };
        let example = example_arguments(&init.args);
        self.abi
            .encode_call(init, self.arguments)
            .map_err(|error| value_failure(error, &format!("kumiki deploy {}{example}", self.name)))
    }
}

/// Who may upgrade the contract at `address`; `None` where there is none.
async fn admin_of(client: &Client, address: Address) -> Outcome<Option<Option<Address>>> {
    match client.contract(address).await {
        Ok(contract) => Ok(Some(contract.admin)),
        Err(ClientError::Api(error)) if error.code == ErrorCode::ContractUnknown => Ok(None),
        Err(error) => Err(error.into()),
    }
}
