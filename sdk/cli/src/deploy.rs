//! Deploy a built contract, or find that it is deployed already.

use kumiki_client::abi::{Abi, ArgumentText};
use kumiki_client::{Client, ClientError, Draft};
use kumiki_protocol::{Action, Address, Amount, Gas, Hash, Nonce, SecretKey, sha3_256};
use kumiki_rpc_api::{ContractView, ErrorCode, ReceiptStatus, TransactionReceipt};

use crate::commands::call::example_arguments;
use crate::explain::value_failure;
use crate::failure::{Exit, Failure, Outcome};
use crate::project::Project;
use crate::render::{Called, execution_failure};
use crate::said::{Said, Sources};
use crate::upgrade::Takeover;

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
    /// contract that is there; one at `recorded`, upgraded to this code since, is found too.
    pub(crate) async fn send(
        &self,
        client: &Client,
        key: &SecretKey,
        recorded: Option<Address>,
    ) -> Outcome<Deployed> {
        // Wrong arguments are wrong, also where nothing is left to do.
        let input = self.input()?;
        let code_hash = sha3_256(&[self.wasm]);
        let deployer = Address::of_account(&key.public_key());
        let address = self.address(&deployer);
        let here = contract_at(client, address).await?;
        let known = match recorded {
            Some(recorded) if recorded != address => contract_at(client, recorded).await?,
            _ => None,
        };
        let same = |one: &&ContractView| one.code_hash == code_hash;
        if let Some(found) = here.as_ref().filter(same).or(known.as_ref().filter(same)) {
            self.check_admin(found.admin)?;
            return Ok(Deployed {
                address: found.address,
                code_hash,
                receipt: None,
            });
        }
        if here.is_some() {
            return Err(self.taken(address));
        }
        let action = Action::Deploy {
            code: self.wasm.to_vec(),
            salt: self.salt_bytes(),
            input,
            value: self.value,
            admin: (!self.immutable).then_some(deployer),
        };
        let init = self.abi.metadata().init.as_ref();
        let called = self.called(address, init.map_or("init", |init| &init.name));
        let receipt = self.send_action(client, key, (action, &called)).await?;
        Ok(Deployed {
            address,
            code_hash,
            receipt: Some(receipt),
        })
    }

    /// Deploys it where no contract is yet, under the first salt that is free.
    pub(crate) async fn send_fresh(&self, client: &Client, key: &SecretKey) -> Outcome<Deployed> {
        let deployer = Address::of_account(&key.public_key());
        let mut count = 0_u64;
        loop {
            let salt = match count {
                0 => self.salt.to_owned(),
                count => format!("{}fresh-{count}", self.salt),
            };
            let request = DeployRequest {
                salt: &salt,
                ..*self
            };
            if contract_at(client, request.address(&deployer))
                .await?
                .is_none()
            {
                return request.send(client, key, None).await;
            }
            count += 1;
        }
    }

    /// Where `deployer` gets it.
    pub(crate) fn address(&self, deployer: &Address) -> Address {
        Address::of_contract(deployer, &self.salt_bytes(), &sha3_256(&[self.wasm]))
    }

    /// The salt of the address: names and texts tell contracts of one code apart.
    pub(crate) fn salt_bytes(&self) -> [u8; 32] {
        let (name, salt) = (self.name.as_bytes(), self.salt.as_bytes());
        sha3_256(&[SALT_DOMAIN, name, b"/", salt]).0
    }

    /// The contract that was deployed with this code has another now.
    fn taken(&self, address: Address) -> Failure {
        Failure::new(
            Exit::Refused,
            "contractExists",
            "the contract that was deployed with this code has other code now; nothing was sent",
        )
        .at(format!("deployment of '{}'", self.name))
        .expected("no contract, or one with this code")
        .found(address.to_string())
        .next(format!("kumiki deploy {} --salt another", self.name))
    }

    /// Gives the contract at `address` this code, and takes its state over.
    pub(crate) async fn upgrade(
        &self,
        client: &Client,
        key: &SecretKey,
        (address, takeover): (Address, Takeover),
    ) -> Outcome<()> {
        let action = takeover.action(address, self.wasm.to_vec());
        let migrate = self.abi.metadata().migrate.as_ref();
        let called = self.called(address, migrate.map_or("upgrade", |one| &one.name));
        self.send_action(client, key, (action, &called))
            .await
            .map(|_receipt| ())
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
        (action, called): (Action, &Called<'_>),
    ) -> Outcome<TransactionReceipt> {
        let mut draft = Draft::new(vec![action]);
        draft.gas_limit = self.gas;
        draft.gas_price = self.gas_price;
        draft.nonce = self.nonce;
        let prepared = client.prepare(&draft, &key.public_key()).await?;
        let simulated = &prepared.simulation;
        if let Some(failure) = &simulated.receipt.failure {
            let paid = "nothing changed, nothing is paid";
            let said =
                Sources::new(self.project, &client.genesis_hash()).explain(&simulated.diagnostics);
            return Err(self.explain(execution_failure(failure, said, Some(called), paid)));
        }
        let receipt = client.send(prepared.body, key).await?;
        match (&receipt.receipt.status, &receipt.receipt.failure) {
            (ReceiptStatus::Ok, _) | (_, None) => Ok(receipt),
            (_, Some(failure)) => {
                let paid = format!("nothing changed, the fee {} is paid", receipt.receipt.fee);
                Err(self.explain(execution_failure(
                    failure,
                    Said::default(),
                    Some(called),
                    &paid,
                )))
            }
        }
    }

    /// What runs, for messages.
    fn called<'b>(&'b self, address: Address, method: &'b str) -> Called<'b> {
        Called {
            abi: self.abi,
            address,
            contract: self.name,
            method,
        }
    }

    fn explain(&self, failure: Failure) -> Failure {
        failure
            .at(format!("deployment of '{}'", self.name))
            .next(format!("kumiki build {}", self.name))
    }

    /// The arguments of `init`, encoded.
    pub(crate) fn input(&self) -> Outcome<Vec<u8>> {
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

/// The contract at `address`, if there is one.
pub(crate) async fn contract_at(
    client: &Client,
    address: Address,
) -> Outcome<Option<ContractView>> {
    match client.contract(address).await {
        Ok(contract) => Ok(Some(contract)),
        Err(ClientError::Api(error)) if error.code == ErrorCode::ContractUnknown => Ok(None),
        Err(error) => Err(error.into()),
    }
}
